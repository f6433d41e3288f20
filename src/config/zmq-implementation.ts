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
  return choose(zmq.implementation, onlyLibzmq([server.send_spec, server.recv_spec]));
}

/** Of every address at which m2push has a ZeroMQ socket, in the order of the configuration. */
export function servedAddresses(config: Config): ServedAddress[] {
  return config.mongrel2.flatMap((server) =>
    (["send_spec", "recv_spec"] as const).map((key) => ({
      key: `mongrel2 "${server.name}" ${key}`,
      address: server[key],
      ...linkImplementation(config, server),
    })),
  );
}

/** Why native sockets cannot serve one of these addresses; undefined = they can. */
function onlyLibzmq(addresses: readonly string[]): string | undefined {
  const isAbstract = addresses.some((address) => address.startsWith("ipc://@"));
  return isAbstract && !HAS_ABSTRACT_NAMES ? "native sockets need Node.js 22 for ipc://@name" : undefined;
}

function choose(setting: Config["zmq"]["implementation"], needed: string | undefined): ZmqChoice {
  if (setting !== "auto") return { implementation: setting, reason: `[zmq] implementation = "${setting}"` };
  return needed === undefined
    ? { implementation: "native", reason: "the default" }
    : { implementation: "libzmq", reason: needed };
}
