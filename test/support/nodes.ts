/** Several machines in one: each has a Mongrel2 and a daemon, and one NATS joins them; browsers that may go to any; and load. */
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Changes } from "./deadline.js";
import { type NatsServer, startNats } from "./nats.js";
import { type Pair, startPair } from "./pair.js";
import { openStream, type SseClient } from "./sse-client.js";

export interface Nodes {
  readonly nats: NatsServer;
  readonly a: Pair;
  readonly b: Pair;
  /** Starts another one. */
  join(): Promise<Pair>;
}

/** What a fault may take to be over, milliseconds. */
const WAIT_TIMEOUT_MS = 25_000;

type Tables = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export async function startNodes(t: Pick<TestContext, "after">, config: Tables = {}): Promise<Nodes> {
  const nats = await startNats(t);
  const node = () =>
    startPair(t, {
      settings: { "limits.tick_timer": 1 },
      config: { auth: { allow_publish_from: ["127.0.0.1"] }, cluster: { nats: [nats.url] }, ...config },
    });
  const a = await node();
  return { nats, a, b: await node(), join: node };
}

/** An EventSource that knows several addresses: when a stream ends it goes to the next, with its last id. */
export class Roamer {
  /** Ids of the events, as they came, and of what it was told in-band. */
  readonly ids: string[] = [];
  readonly gaps: string[] = [];
  opens = 0;
  readonly #urls: readonly string[];
  readonly #changes = new Changes();
  #lastEventId = "";
  #stream: SseClient | undefined;
  #leaves = false;

  constructor(nodes: readonly Pair[]) {
    this.#urls = nodes.map(({ mongrel2 }) => `${mongrel2.url}/esupdates`);
  }

  /** Resolves when it has its first position. */
  async open(): Promise<this> {
    void this.#live();
    await this.until(() => this.#lastEventId !== "", "a first position");
    return this;
  }

  async until(look: () => boolean, what: string): Promise<void> {
    const found = () => `; it has ${this.ids.length}: ... ${this.ids.slice(-3)}, opened ${this.opens}`;
    await this.#changes.until(look, what, WAIT_TIMEOUT_MS, found);
  }

  async leave(): Promise<void> {
    this.#leaves = true;
    await this.#stream?.close();
  }

  async #live(): Promise<void> {
    for (let next = 0; !this.#leaves; next++) {
      await this.#visit(this.#urls[next % this.#urls.length] ?? "").catch(() => {}); // nobody there, or cut: on to the next
      if (!this.#leaves) await pause(100);
    }
  }

  async #visit(url: string): Promise<void> {
    const stream = await openStream(url, this.#lastEventId === "" ? {} : { "last-event-id": this.#lastEventId });
    this.#stream = stream;
    if (stream.status !== 200) return stream.close();
    this.opens++;
    let seen = 0;
    const look = () => {
      for (; seen < stream.events.length; seen++) {
        const event = stream.events[seen];
        if (event?.type === "m2push-gap") this.gaps.push(event.data);
        else if (event) this.ids.push(event.id);
      }
      if (stream.lastEventId !== "") this.#lastEventId = stream.lastEventId;
      this.#changes.tell();
      return stream.isClosed;
    };
    await stream.until(look, "the end of the stream", 600_000);
  }
}

/** Browsers at the first of some nodes; they go to the next when that is gone. */
export async function roamers(t: Pick<TestContext, "after">, nodes: readonly Pair[], size: number): Promise<Roamer[]> {
  const all = Array.from({ length: size }, () => new Roamer(nodes));
  t.after(() => Promise.all(all.map((roamer) => roamer.leave())));
  return Promise.all(all.map((roamer) => roamer.open()));
}

/** Publishes over HTTP at nodes in turn, at a steady rate, whatever becomes of it. */
export class Load {
  /** Ids of what was acknowledged: everybody must receive them. Others may have been published, or not. */
  readonly acknowledged: string[] = [];
  /** How often there was another answer than 200, by status; 0 = none at all. */
  readonly refused = new Map<number, number>();
  readonly #urls: readonly string[];
  readonly #changes = new Changes();
  readonly #timer: NodeJS.Timeout;
  readonly #underway = new Set<Promise<void>>();
  #count = 0;

  /** Begins at once. */
  constructor(nodes: readonly Pair[], perSecond: number) {
    this.#urls = nodes.map(({ mongrel2 }) => `${mongrel2.url}/.well-known/mercure`);
    this.#timer = setInterval(() => this.#next(), 1000 / perSecond);
  }

  /** Resolves when `count` more events have been acknowledged. */
  async more(count: number): Promise<void> {
    const wanted = this.acknowledged.length + count;
    await this.#changes.until(() => this.acknowledged.length >= wanted, "acknowledgements", WAIT_TIMEOUT_MS);
  }

  /** Stops publishing; resolves with the id of one last event, published at the last node. */
  async end(): Promise<string> {
    clearInterval(this.#timer);
    await Promise.all(this.#underway);
    await this.#publish(this.#urls.at(-1) ?? "", "last");
    return this.acknowledged.at(-1) ?? "";
  }

  #next(): void {
    if (this.#underway.size >= 500) return;
    const number = ++this.#count;
    const underway = this.#publish(this.#urls[number % this.#urls.length] ?? "", `${number}`).finally(() =>
      this.#underway.delete(underway),
    );
    this.#underway.add(underway);
  }

  async #publish(url: string, data: string): Promise<void> {
    const status = await post(url, data, (id) => this.acknowledged.push(id)).catch(() => 0);
    if (status !== 200) this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
    this.#changes.tell();
  }
}

async function post(url: string, data: string, acknowledged: (id: string) => void): Promise<number> {
  const body = new URLSearchParams({ topic: "t", data });
  const answer = await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(8000) });
  const id = await answer.text();
  if (answer.status === 200) acknowledged(id);
  return answer.status;
}
