/** What zmq_proxy(3) does, between a Mongrel2 that binds and a daemon that binds: libzmq connects to both, and connects again by itself. */
import { Pull, Push, XPublisher, XSubscriber, Proxy as ZmqProxy } from "zeromq";
import type { Mongrel2 } from "./mongrel2.js";
import { freePort } from "./ports.js";

export class ZmqProxies {
  /** What the daemon binds. */
  readonly sendSpec: string;
  readonly recvSpec: string;
  readonly #requests: ZmqProxy<Pull, Push>;
  readonly #replies: ZmqProxy<XSubscriber, XPublisher>;
  readonly #running: Promise<unknown>;

  private constructor({ sendSpec, recvSpec }: Mongrel2, ours: { sendSpec: string; recvSpec: string }) {
    this.sendSpec = ours.sendSpec;
    this.recvSpec = ours.recvSpec;
    this.#requests = new ZmqProxy(new Pull({ linger: 0 }), new Push({ linger: 0 }));
    this.#requests.frontEnd.connect(sendSpec);
    this.#requests.backEnd.connect(ours.sendSpec);
    this.#replies = new ZmqProxy(new XSubscriber({ linger: 0 }), new XPublisher({ linger: 0 }));
    this.#replies.frontEnd.connect(ours.recvSpec);
    this.#replies.backEnd.connect(recvSpec);
    this.#running = Promise.all([this.#requests.run(), this.#replies.run()]);
  }

  static async before(mongrel2: Mongrel2): Promise<ZmqProxies> {
    const spec = async () => `tcp://127.0.0.1:${await freePort()}`;
    return new ZmqProxies(mongrel2, { sendSpec: await spec(), recvSpec: await spec() });
  }

  async close(): Promise<void> {
    this.#requests.terminate();
    this.#replies.terminate();
    await this.#running;
  }
}
