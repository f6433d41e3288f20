/** The bound PUB socket over native sockets: all messages of one turn leave in one write for each subscriber, and each loss is counted. */
import { partsFrame } from "../protocol/zmtp.js";
import type { Clock } from "../util/clock.js";
import type { ConnectionCap } from "../util/descriptors.js";
import { type EventPublisher, MAX_UNSENT_BYTES, type PublisherObserver } from "./event-publisher.js";
import { LINGER_MS } from "./link-limits.js";
import type { Peer } from "./peer.js";
import { MAX_SUBSCRIPTION_BYTES, Subscriptions } from "./subscriptions.js";
import { ZmqSocket } from "./zmq-socket.js";

interface Subscriber {
  readonly subscriptions: Subscriptions;
  /** Frames of this turn. */
  queued: Buffer[];
  queuedBytes: number;
}

export interface NativePublisherOptions {
  readonly spec: string;
  readonly clock: Clock;
  readonly cap: Pick<ConnectionCap, "maxConnections" | "limitReached">;
}

export class NativePublisher implements EventPublisher {
  readonly #options: NativePublisherOptions;
  readonly #subscribers = new Map<Peer, Subscriber>();
  #socket: ZmqSocket | undefined;
  #dropped = 0;
  #isFlushScheduled = false;

  constructor(options: NativePublisherOptions) {
    this.#options = options;
  }

  async start(observer: PublisherObserver): Promise<void> {
    const options = { type: "PUB", identity: "", bind: true, maxMessageBytes: MAX_SUBSCRIPTION_BYTES } as const;
    this.#socket = new ZmqSocket(
      { ...this.#options, ...options },
      {
        message: (peer, [message]) => this.#subscribers.get(peer)?.subscriptions.change(message as Buffer) ?? false,
        protocolError: (error, remote) => observer.refused(error, remote),
        failed: (error) => observer.failed(error),
        recovered: () => observer.recovered(),
        broken: (error) => observer.broken(error),
        ready: (peer) => {
          this.#subscribers.set(peer, { subscriptions: new Subscriptions(), queued: [], queuedBytes: 0 });
        },
        pong() {},
        closed: (peer) => this.#subscribers.delete(peer),
      },
    );
    await this.#socket.start();
  }

  publish(topic: Buffer, body: Buffer): void {
    let frame: Buffer | undefined;
    for (const [peer, subscriber] of this.#subscribers) {
      if (!subscriber.subscriptions.select(topic)) continue;
      frame ??= partsFrame([topic, body]);
      this.#queue(peer, subscriber, frame);
    }
  }

  get subscribers(): number {
    return this.#subscribers.size;
  }

  get dropped(): number {
    return this.#dropped;
  }

  async close(): Promise<void> {
    this.#flush();
    await this.#socket?.close({ timeoutMs: LINGER_MS });
  }

  #queue(peer: Peer, subscriber: Subscriber, frame: Buffer): void {
    if (peer.unsentBytes + subscriber.queuedBytes + frame.length > MAX_UNSENT_BYTES) {
      this.#dropped++;
      return;
    }
    subscriber.queued.push(frame);
    subscriber.queuedBytes += frame.length;
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushScheduled = false;
    for (const [peer, subscriber] of this.#subscribers) {
      if (subscriber.queued.length === 0) continue;
      peer.sendFrames(Buffer.concat(subscriber.queued));
      subscriber.queued = [];
      subscriber.queuedBytes = 0;
    }
  }
}
