/**
 * Which implementation of the ZeroMQ sockets serves an address, and why: the native one, unless the configuration chooses libzmq (the
 * zeromq package) or native sockets cannot serve the address.
 */
import { HAS_ABSTRACT_NAMES } from "../util/node-version.js";
import type { Config, ServerConfig } from "./schema.js";

export type ZmqImplementation = "native" | "libzmq";

/** An implementation, and why it was chosen. */
export interface ZmqChoice {
  readonly implementation: ZmqImplementation;
  readonly reason: string;
}

/** A key with the address that it configures, and what serves that. */
export interface ServedAddress extends ZmqChoice {
  readonly key: string;
  readonly address: string;
}

/** Of the two sockets of a link. */
export function linkImplementation({ zmq }: Pick<Config, "zmq">, server: ServerConfig): ZmqChoice {
  const needed = server.curve_server_secret_key === "" ? undefined : CURVE_REASON;
  return choose(zmq.implementation, needed ?? abstractReason([server.send_spec, server.recv_spec]));
}

/** The CURVE keys of a link, towards a ZeroMQ proxy; undefined = the mechanism NULL. */
export function linkCurve(server: ServerConfig): { serverSecretKey: string; clientPublicKey: string } | undefined {
  const { curve_server_secret_key: serverSecretKey, curve_client_public_key: clientPublicKey } = server;
  return serverSecretKey === "" ? undefined : { serverSecretKey, clientPublicKey };
}

/** Of a socket for publishers, or of that for events. */
export function publishImplementation({ zmq }: Pick<Config, "zmq">, address: string, isCurve = false): ZmqChoice {
  return choose(zmq.implementation, isCurve ? CURVE_REASON : abstractReason([address]));
}

/** Of every address at which m2push has a ZeroMQ socket, in the order of the configuration. */
export function servedAddresses(config: Config): ServedAddress[] {
  const links = config.mongrel2.flatMap((server) =>
    (["send_spec", "recv_spec"] as const).map((key) => ({
      key: `mongrel2 "${server.name}" ${key}`,
      address: server[key],
      ...linkImplementation(config, server),
    })),
  );
  const open = (["zmq", "zmq_acknowledged"] as const).map((key) => ({
    key: `publish ${key}`,
    address: config.publish[key],
    ...publishImplementation(config, config.publish[key]),
  }));
  const { zmq: events } = config.events;
  const feed = { key: "events zmq", address: events, ...publishImplementation(config, events) };
  const curve = config.publish.curve.map(({ name, address }) => ({
    key: `publish.curve "${name}"`,
    address,
    ...publishImplementation(config, address, true),
  }));
  return [...links, ...open, ...curve, feed].filter(({ address }) => address !== "");
}

const CURVE_REASON = "native sockets have no CURVE";

/** Why native sockets cannot serve one of these addresses; undefined = they can. */
function abstractReason(addresses: readonly string[]): string | undefined {
  const isAbstract = addresses.some((address) => address.startsWith("ipc://@"));
  return isAbstract && !HAS_ABSTRACT_NAMES ? "native sockets need Node.js 22 for ipc://@name" : undefined;
}

function choose(setting: Config["zmq"]["implementation"], needed: string | undefined): ZmqChoice {
  if (setting !== "auto") return { implementation: setting, reason: `[zmq] implementation = "${setting}"` };
  return needed === undefined
    ? { implementation: "native", reason: "the default" }
    : { implementation: "libzmq", reason: needed };
}
