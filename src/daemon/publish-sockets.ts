/**
 * The sockets at which publishers connect over ZeroMQ, one for each address of [publish] and [[publish.curve]], and an Ingress for each.
 * All are created before the hub, which asks them whether they are flooded, and bound after it.
 */
import type { CurvePublisher } from "../config/curve-types.js";
import type { Config } from "../config/schema.js";
import { publishImplementation } from "../config/zmq-implementation.js";
import { M2pushError, messageOf } from "../errors.js";
import { hubUrl } from "../http/app.js";
import { Ingress, type IngressOptions } from "../ingress/ingress.js";
import { coversAll, parseSelector, type Selector } from "../matching/selector.js";
import type { Clock } from "../util/clock.js";
import type { ConnectionCap } from "../util/descriptors.js";
import { LibzmqServer } from "../zmq/libzmq-server.js";
import { NativeServer } from "../zmq/native-server.js";

/** A socket for publishers, not bound yet. */
interface PublishSocket {
  readonly address: string;
  readonly source: NativeServer | LibzmqServer;
  /** See IngressOptions.scope. */
  readonly scope?: string;
  /** Absent = every topic. */
  readonly mayPublish?: (topics: readonly string[]) => boolean;
}

type SharedOptions = Omit<IngressOptions, "source" | "scope" | "mayPublish" | "observer">;

export class PublishSockets {
  readonly #sockets: readonly PublishSocket[];

  /** `cap`: limit for connected publishers, which libzmq cannot apply. Throws "config_invalid" at an invalid topic of a publisher. */
  constructor(config: Config, clock: Clock, cap: ConnectionCap) {
    const { zmq, zmq_acknowledged: acknowledged, curve } = config.publish;
    const open = (address: string, type: "PULL" | "ROUTER"): PublishSocket[] => {
      if (address === "") return [];
      const isNative = publishImplementation(config, address).implementation === "native";
      const source = isNative
        ? new NativeServer(address, clock, cap)
        : new LibzmqServer({ spec: address, type, clock });
      return [{ address, source }];
    };
    this.#sockets = [
      ...open(zmq, "PULL"),
      ...open(acknowledged, "ROUTER"),
      ...curve.map((publisher) => curveSocket(publisher, hubUrl(config), clock)),
    ];
  }

  /** Publishers send faster than their messages are handled. */
  get hasBacklog(): boolean {
    return this.#sockets.some(({ source }) => source.hasBacklog);
  }

  get addresses(): readonly string[] {
    return this.#sockets.map(({ address }) => address);
  }

  /** Binds the sockets. Rejects with "link_failed" at the first address that cannot be bound. */
  async start(options: SharedOptions, observe: (address: string) => IngressOptions["observer"]): Promise<void> {
    for (const { address, ...socket } of this.#sockets)
      await new Ingress({ ...options, ...socket, observer: observe(address) }).start();
  }

  async close(): Promise<void> {
    await Promise.all(this.#sockets.map(({ source }) => source.close()));
  }
}

/** The topics of a publisher. Throws "config_invalid" at an invalid one. */
export function curveGrants({ name, topics }: CurvePublisher, base: string): Selector[] {
  return topics.map((topic) => {
    try {
      return parseSelector("template", topic, base);
    } catch (cause) {
      const what = `[[publish.curve]] "${name}": invalid topic ${JSON.stringify(topic)}: ${messageOf(cause)}`;
      throw new M2pushError("config_invalid", what, { cause });
    }
  });
}

function curveSocket(publisher: CurvePublisher, base: string, clock: Clock): PublishSocket {
  const {
    name,
    address,
    acknowledged,
    server_secret_key: serverSecretKey,
    client_public_key: clientPublicKey,
  } = publisher;
  const grants = curveGrants(publisher, base);
  const curve = { serverSecretKey, clientPublicKey };
  return {
    address,
    source: new LibzmqServer({ spec: address, type: acknowledged ? "ROUTER" : "PULL", clock, curve }),
    scope: `curve:${name}`,
    mayPublish: (topics) => coversAll(grants, topics, base),
  };
}
