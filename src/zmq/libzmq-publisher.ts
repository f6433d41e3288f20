/**
 * The bound PUB socket over libzmq: an XPUB socket, whose subscriptions LibzmqSocket receives. libzmq drops what a slow subscriber does not
 * take, and does not tell: the subscriber sees it by the sequence of the messages.
 */
import type { XPublisher } from "zeromq";
import type { Clock } from "../util/clock.js";
import { type EventPublisher, MAX_UNSENT_MESSAGES, type PublisherObserver } from "./event-publisher.js";
import { LibzmqSocket } from "./libzmq-socket.js";
import { LINGER_MS } from "./link-limits.js";
import { MAX_SUBSCRIPTION_BYTES } from "./subscriptions.js";
import { connectionBroken } from "./transport-error.js";

/** With sendTimeout 0 send() never waits for the poller, and so never fails with EBUSY. */
const XPUB_OPTIONS = {
  sendHighWaterMark: MAX_UNSENT_MESSAGES,
  sendTimeout: 0,
  maxMessageSize: MAX_SUBSCRIPTION_BYTES + 1,
};

export class LibzmqPublisher implements EventPublisher {
  readonly dropped = undefined;
  readonly #spec: string;
  readonly #clock: Clock;
  #subscribers = 0;
  #socket: LibzmqSocket<XPublisher> | undefined;
  #observer: PublisherObserver | undefined;

  constructor(spec: string, clock: Clock) {
    this.#spec = spec;
    this.#clock = clock;
  }

  async start(observer: PublisherObserver): Promise<void> {
    const { XPublisher } = await import("zeromq");
    this.#observer = observer;
    this.#socket = new LibzmqSocket<XPublisher>(
      {
        spec: this.#spec,
        clock: this.#clock,
        bind: true,
        create: (options) => new XPublisher({ ...options, ...XPUB_OPTIONS }),
      },
      {
        message() {},
        ready: () => {
          this.#subscribers++;
        },
        closed: () => {
          this.#subscribers--;
        },
        refused: (error) => observer.refused(error, ""),
        failed: (error) => observer.failed(error),
        recovered: () => observer.recovered(),
        broken: (error) => observer.broken(error),
      },
    );
    await this.#socket.start();
  }

  publish(topic: Buffer, body: Buffer): void {
    const failed = (error: NodeJS.ErrnoException) => this.#observer?.broken(connectionBroken(this.#spec, "", error));
    this.#socket?.socket?.send([topic, body]).catch(failed);
  }

  get subscribers(): number {
    return this.#subscribers;
  }

  async close(): Promise<void> {
    await this.#socket?.close(LINGER_MS);
  }
}
