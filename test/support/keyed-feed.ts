/**
 * Publishers of numbered events at a steady rate, each event with a key of its own, sent again until it is acknowledged: over HTTP, and by
 * REQ and DEALER sockets.
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { Request } from "zeromq";
import { M2pushError } from "../../src/errors.js";
import { decodeReply } from "../../src/protocol/publish-reply.js";
import { systemClock } from "../../src/util/clock.js";
import { RequestSession } from "../../src/zmq/request-session.js";
import type { Pair } from "./pair.js";

/** How long a publisher waits for the acknowledgement before it repeats. */
const ATTEMPT_TIMEOUT_MS = 2000;
const REPEAT_DELAY_MS = 50;
/** One event of these is repeated although it was acknowledged. */
const REPEATED_NUMBERS = 10;
const MS_PER_SECOND = 1000;

/** One publisher, with one event under way. */
export interface KeyedPublisher {
  /** Resolves with the id; undefined = not acknowledged: the publisher does not know whether the event was published. */
  publish(number: number): Promise<string | undefined>;
  close(): unknown;
}

/** An event without a key of the request has its key in the message: the keys of HTTP and of ZeroMQ are separate. */
const partsOf = (number: number): string[] => ["t", `${number}`, JSON.stringify({ key: `event-${number}` })];

export function httpPublisher({ mongrel2 }: Pair): KeyedPublisher {
  const url = `${mongrel2.url}/.well-known/mercure`;
  return {
    async publish(number) {
      try {
        const headers = { "Idempotency-Key": `"event-${number}"` };
        const body = new URLSearchParams({ topic: "t", data: `${number}` });
        const signal = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
        const answer = await fetch(url, { method: "POST", headers, body, signal });
        const text = await answer.text();
        return answer.status === 200 ? text : undefined;
      } catch {
        return undefined;
      }
    },
    close() {},
  };
}

export function requestPublisher({ publishSpec }: Pair): KeyedPublisher {
  const timeouts = { sendTimeout: ATTEMPT_TIMEOUT_MS, receiveTimeout: ATTEMPT_TIMEOUT_MS };
  const socket = new Request({ relaxed: true, correlate: true, ...timeouts, linger: 0 });
  socket.connect(publishSpec);
  return {
    async publish(number) {
      try {
        await socket.send(partsOf(number));
        const [reply] = await socket.receive();
        return idIn(reply ?? Buffer.alloc(0));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
        return undefined;
      }
    },
    close: () => socket.close(),
  };
}

export async function dealerPublisher({ publishSpec }: Pair): Promise<KeyedPublisher> {
  const session = new RequestSession(publishSpec, systemClock, { connected() {}, ended() {}, replied() {} });
  await session.start();
  return {
    async publish(number) {
      const parts = partsOf(number).map((part) => Buffer.from(part));
      try {
        return idIn((await session.request(parts, ATTEMPT_TIMEOUT_MS)).answer);
      } catch (error) {
        if (!(error instanceof M2pushError) || error.code !== "unavailable") throw error;
        return undefined;
      }
    },
    close: () => session.close(),
  };
}

/** Undefined = the daemon could not store it. */
function idIn(reply: Buffer): string | undefined {
  try {
    return decodeReply(reply)[0];
  } catch (error) {
    if (error instanceof M2pushError && ["unavailable", "storage_failed"].includes(error.code)) return undefined;
    throw error;
  }
}

export class KeyedFeed {
  /** Ids by number. */
  readonly ids = new Map<number, string>();
  /** Requests beyond the first for an event. */
  repeatCount = 0;
  readonly #publishers: readonly KeyedPublisher[];
  readonly #perSecond: number;
  readonly #start = performance.now();
  readonly #running: Promise<unknown>;
  #isOver = false;

  /** Publishes at once, `perSecond` events a second of all publishers together; what a fault delayed is made up for. */
  constructor(publishers: readonly KeyedPublisher[], perSecond: number) {
    this.#publishers = publishers;
    this.#perSecond = perSecond;
    this.#running = Promise.all(publishers.map((publisher, index) => this.#run(publisher, index + 1)));
  }

  /** Stops when every event is acknowledged; resolves with the events a second. */
  async end(): Promise<number> {
    this.#isOver = true;
    await this.#running;
    const seconds = (performance.now() - this.#start) / MS_PER_SECOND;
    await Promise.all(this.#publishers.map((publisher) => publisher.close()));
    return this.ids.size / seconds;
  }

  async #run(publisher: KeyedPublisher, first: number): Promise<void> {
    for (let number = first; !this.#isOver; number += this.#publishers.length) {
      await this.#publish(publisher, number);
      const due = this.#start + (number * MS_PER_SECOND) / this.#perSecond;
      await pause(Math.max(0, due - performance.now()));
    }
  }

  async #publish(publisher: KeyedPublisher, number: number): Promise<void> {
    const id = await this.#untilAcknowledged(publisher, number);
    this.ids.set(number, id);
    if (number % REPEATED_NUMBERS > 0) return;
    this.repeatCount++;
    assert.equal(await this.#untilAcknowledged(publisher, number), id);
  }

  async #untilAcknowledged(publisher: KeyedPublisher, number: number): Promise<string> {
    for (;;) {
      const id = await publisher.publish(number);
      if (id !== undefined) return id;
      this.repeatCount++;
      await pause(REPEAT_DELAY_MS, undefined, { ref: false });
    }
  }
}
