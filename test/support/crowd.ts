/**
 * Browsers that come back by themselves, a publisher whose events are acknowledged, and the ledger that compares the two:
 * what every test of faults asks is what each client received, by number.
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { Changes } from "./deadline.js";
import type { Pair } from "./pair.js";
import { readReceived } from "./received.js";
import { openStream, type SseClient } from "./sse-client.js";

/** What a browser waits before it connects again, milliseconds; the real ones wait for seconds. */
const RETRY = 100;
/** How long a fault may take to be over, milliseconds. */
const WAIT_TIMEOUT_MS = 30_000;

/** An EventSource: goes on from its last id whenever its stream ends. */
export class Browser {
  /** Numbers of the events, as they came. */
  readonly received: number[] = [];
  readonly gaps: string[] = [];
  /** How often it had to connect. */
  opens = 0;
  readonly #url: string;
  readonly #changes = new Changes();
  #lastEventId = "";
  #stream: SseClient | undefined;
  #leaves = false;

  constructor(url: string) {
    this.#url = url;
  }

  /** Connects; resolves when it has its first position. */
  async open(): Promise<this> {
    void this.#live();
    await this.until(() => this.#lastEventId !== "", "a first position");
    return this;
  }

  async until(look: () => boolean, what: string): Promise<void> {
    await this.#changes.until(
      look,
      what,
      WAIT_TIMEOUT_MS,
      () => `; it received ${this.received.slice(-5)}, opened ${this.opens}`,
    );
  }

  async leave(): Promise<void> {
    this.#leaves = true;
    await this.#stream?.close();
  }

  async #live(): Promise<void> {
    while (!this.#leaves) {
      try {
        await this.#connect();
      } catch {
        // Nobody there, or a stream that was cut.
      }
      if (!this.#leaves) await pause(RETRY);
    }
  }

  async #connect(): Promise<void> {
    const headers: Record<string, string> = this.#lastEventId === "" ? {} : { "last-event-id": this.#lastEventId };
    const stream = await openStream(this.#url, headers);
    this.#stream = stream;
    if (stream.status !== 200) return stream.close();
    this.opens++;
    let seen = 0;
    const look = () => {
      for (; seen < stream.events.length; seen++) this.#take(stream.events[seen]);
      if (stream.lastEventId !== "") this.#lastEventId = stream.lastEventId;
      this.#changes.tell();
      return stream.isClosed;
    };
    await stream.until(look, "the end of the stream", 600_000);
  }

  #take(event: SseClient["events"][number] | undefined): void {
    if (event?.type === "m2push-gap") this.gaps.push(event.data);
    else if (event) this.received.push(Number.parseInt(event.data, 10));
  }
}

/** `url`: absent = Mongrel2 itself. */
export async function crowd(
  pair: Pair,
  size: number,
  after: (end: () => Promise<unknown>) => void,
  url = pair.mongrel2.url,
): Promise<Browser[]> {
  const browsers = Array.from({ length: size }, () => new Browser(`${url}/esupdates`));
  after(() => Promise.all(browsers.map((browser) => browser.leave())));
  return Promise.all(browsers.map((browser) => browser.open()));
}

/** Events that are published one after the other over HTTP, each with a number. */
export class Feed {
  /** Numbers that were acknowledged: everybody must receive them. Others may have been published, or not. */
  readonly acknowledged: number[] = [];
  readonly #url: string;
  readonly #pad: string;
  readonly #changes = new Changes();
  readonly #running: Promise<void>;
  #number = 0;
  #ends = false;

  /** Begins at once. `bytes`: how large each event is. The daemon must take publications from 127.0.0.1. */
  constructor(pair: Pair, bytes = 0) {
    this.#url = `${pair.mongrel2.url}/.well-known/mercure`;
    this.#pad = "x".repeat(bytes);
    this.#running = this.#run();
  }

  /** Resolves when `count` more events have been acknowledged. */
  async more(count: number): Promise<void> {
    const wanted = this.acknowledged.length + count;
    await this.#changes.until(() => this.acknowledged.length >= wanted, "acknowledgements", WAIT_TIMEOUT_MS);
  }

  /** Stops publishing; resolves with the last number that was acknowledged. */
  async end(): Promise<number> {
    this.#ends = true;
    await this.#running;
    return this.acknowledged.at(-1) ?? 0;
  }

  async #run(): Promise<void> {
    while (!this.#ends) {
      const number = ++this.#number;
      if (await this.#publish(number)) this.acknowledged.push(number);
      // A test that has failed does not end the feed: alone, it must not keep the process.
      else await pause(20, undefined, { ref: false });
      this.#changes.tell();
    }
  }

  /** One that is not acknowledged is not tried again under its number: it may have been published. */
  async #publish(number: number): Promise<boolean> {
    try {
      const body = new URLSearchParams({ topic: "t", data: `${number} ${this.#pad}` });
      const answer = await fetch(this.#url, { method: "POST", body, signal: AbortSignal.timeout(2000) });
      await answer.text();
      return answer.status === 200;
    } catch {
      return false;
    }
  }
}

/**
 * Ends the feed, waits until all browsers have its last event, and asserts that each received every acknowledged event in order. One that was
 * not acknowledged in time may have been stored later than its successor, but all browsers receive the same order.
 */
export async function verifyReceived(
  browsers: readonly Browser[],
  feed: Feed,
  { duplicates }: { duplicates: number },
): Promise<void> {
  const last = await feed.end();
  await Promise.all(browsers.map((it) => it.until(() => it.received.includes(last), `event ${last}`)));
  const acknowledged = new Set(feed.acknowledged);
  let order: number[] | undefined;
  for (const { received, gaps } of browsers) {
    const { once, repeated } = readReceived(received);
    assert.deepEqual(gaps, []);
    assert.deepEqual(
      once.filter((number) => acknowledged.has(number)),
      feed.acknowledged,
      "what was acknowledged, in order",
    );
    const upToLast = once.slice(0, once.indexOf(last) + 1);
    order ??= upToLast;
    assert.deepEqual(upToLast, order, "one order for all");
    assert.ok(repeated <= duplicates, `${repeated} came twice`);
  }
}
