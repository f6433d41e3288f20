/** Compressed streams behind a real Mongrel2, as clients and proxies read them. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { BROWSERS } from "../support/any-browser.js";
import { Changes } from "../support/deadline.js";
import { LIBRARIES } from "../support/event-sources.js";
import { EventStreamParser } from "../support/event-stream.js";
import { type Pair, startPair } from "../support/pair.js";
import { freePort } from "../support/ports.js";
import { Child } from "../support/processes.js";
import { ReverseProxy } from "../support/proxies.js";
import { readReceived } from "../support/received.js";
import { openStream } from "../support/sse-client.js";

const PATH = "/esupdates?topic=ticker";
const SYMBOLS = ["ACME", "GLOB", "INIT", "UMBR", "HOOL", "VEHE", "STAR"];

/** The data of an event; its number makes it unique. */
const ticker = (number: number) =>
  `{"number":${number},"symbol":"${SYMBOLS[number % 7]}","price":${(100 + Math.sin(number) * 9).toFixed(2)},"volume":${(number * 7919) % 9973}}`;

/** One follower of the stream, whatever it is made of. */
interface Follower {
  readonly name: string;
  received(): Promise<readonly string[]>;
}

class Stand {
  readonly pair: Pair;
  readonly #t: TestContext;
  readonly #followers: Follower[] = [];
  readonly #changes = new Changes();
  readonly published: string[] = [];
  /** Events that were published before each follower came. */
  readonly #missed = new Map<Follower, number>();

  constructor(t: TestContext, pair: Pair) {
    this.#t = t;
    this.pair = pair;
  }

  /** A follower whose events come one by one; resolves when it has its first position. */
  async #listed(name: string, open: (hear: (type: string, data: string) => void) => () => unknown): Promise<void> {
    const events: string[] = [];
    let isOpen = false;
    const end = open((type, data) => {
      if (type === "message") events.push(data);
      if (type === "m2push-open") isOpen = true;
      this.#changes.tell();
    });
    this.#t.after(async () => void (await end()));
    await this.#changes.until(() => isOpen, `${name} to open`);
    const count = this.published.length;
    const received = async () => {
      const found = () => `; it has ${events.length} of ${this.published.length - count}`;
      await this.#changes.until(() => events.includes(this.published.at(-1) ?? ""), name, undefined, found);
      return events;
    };
    this.#add({ name, received });
  }

  #add(follower: Follower): void {
    this.#followers.push(follower);
    this.#missed.set(follower, this.published.length);
  }

  async library({ name, open }: (typeof LIBRARIES)[number]): Promise<void> {
    await this.#listed(name, (hear) => open(this.pair.mongrel2.url + PATH, ({ type, data }) => hear(type, data)));
  }

  async curl(name: string, url: string, ...args: string[]): Promise<void> {
    await this.#listed(name, (hear) => {
      const parser = new EventStreamParser();
      const child = new Child("curl", ["-sNk", "-H", "Accept: text/event-stream", ...args, url + PATH], "/");
      child.process.stdout?.on("data", (text: string) => {
        const [before, openings] = [parser.events.length, parser.openings.length];
        parser.push(Buffer.from(text));
        if (parser.openings.length > openings) hear("m2push-open", "");
        for (const { type, data } of parser.events.slice(before)) hear(type, data);
      });
      return () => child.kill9();
    });
  }

  /** Two streams in one page: EventSource, and fetch() with a decoder of the page's own. */
  async browser({ name, open }: (typeof BROWSERS)[number]): Promise<void> {
    const tab = await open(this.#t);
    await tab.goto(`${this.pair.mongrel2.url}/`);
    for (const client of ["EventSource", "fetch"]) {
      await tab.evaluate(PAGE_SCRIPTS[client as keyof typeof PAGE_SCRIPTS]);
      await tab.evaluate(`heard.${client}.opens`);
      const received = async () => {
        const last = JSON.stringify(this.published.at(-1));
        return (await tab.evaluate(`heard.${client}.until(${last})`)) as string[];
      };
      this.#add({ name: `${client} in ${name}`, received });
    }
  }

  async publish(count: number): Promise<void> {
    for (let left = count; left > 0; left--) {
      const data = ticker(this.published.length);
      this.published.push(data);
      await this.pair.publisher.publish(data, "ticker");
      // One body for each event.
      await this.#followers[0]?.received();
    }
    await this.verify();
  }

  /** Every follower has every event since it came, in order; what was under way when a daemon was killed may come twice. */
  async verify(): Promise<void> {
    for (const follower of this.#followers) {
      const { once } = readReceived(await follower.received());
      assert.deepEqual(once, this.published.slice(this.#missed.get(follower)), follower.name);
    }
  }
}

const HEARD = `
window.heard ??= {};
const heardBy = (client, follow) => {
  const events = [], looks = new Set();
  const until = (found) => new Promise((resolve) => {
    const look = () => { if (found()) { looks.delete(look); resolve([...events]); } };
    looks.add(look);
    look();
  });
  let isOpen = false;
  follow((type, data) => {
    if (type === "m2push-open") isOpen = true;
    else if (type === "message") events.push(data);
    for (const look of looks) look();
  });
  heard[client] = { opens: until(() => isOpen), until: (last) => until(() => events.includes(last)) };
};`;

const PAGE_SCRIPTS = {
  EventSource: `(() => {${HEARD}
heardBy("EventSource", (hear) => {
  const source = new EventSource("${PATH}");
  for (const type of ["message", "m2push-open"]) source.addEventListener(type, ({ data }) => hear(type, data));
});})()`,
  fetch: `(() => {${HEARD}
heardBy("fetch", async (hear) => {
  const response = await fetch("${PATH}", { headers: { accept: "text/event-stream" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = "", { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
    const blocks = (text + value).split("\\n\\n");
    text = blocks.pop();
    for (const block of blocks) {
      const field = (name) => new RegExp("^" + name + ": (.*)$", "m").exec(block)?.[1];
      hear(field("event") ?? "message", field("data"));
    }
  }
});})()`,
};

describe("compressed streams", () => {
  test("reach every kind of client, through proxies, joins and two kills of the daemon", async (t) => {
    const admin = `127.0.0.1:${await freePort()}`;
    const pair = await startPair(t, {
      settings: { "limits.tick_timer": 1 },
      config: { stream: { compression: "public", retry: "100ms" }, admin: { listen: admin } },
    });
    const { url } = pair.mongrel2;
    const stand = new Stand(t, pair);
    for (const library of LIBRARIES) await stand.library(library);
    await stand.curl("curl --compressed", url, "--compressed");
    await stand.curl("curl without Accept-Encoding", url);
    await stand.publish(50);
    for (const browser of BROWSERS) await stand.browser(browser);
    await stand.publish(50);
    for (const name of ["nginx", "haproxy"] as const) {
      const proxy = await ReverseProxy.before(pair.mongrel2, name);
      t.after(() => proxy.stop());
      await stand.curl(`curl --compressed through ${name}`, `https://127.0.0.1:${proxy.port}`, "--compressed");
      await stand.curl(`curl without Accept-Encoding through ${name}`, `https://127.0.0.1:${proxy.port}`);
      await stand.publish(20);
    }
    for (const kill of ["first", "second"]) {
      await pair.aged(4);
      await pair.daemon.kill9();
      await pair.restart();
      await pair.daemon.logged(({ event }) => event === "adoption_completed", "the streams to be adopted");
      await stand.publish(50);
      await stand.curl(`curl --compressed after the ${kill} kill`, url, "--compressed");
      await stand.publish(50);
    }
    const metrics = await (await fetch(`http://${admin}/metrics`)).text();
    const shared = Number(/^m2push_compressed_bodies_total\{encoding="shared"\} (\d+)$/m.exec(metrics)?.[1]);
    assert.ok(shared > 500, `${shared} bodies of shared windows`);
  });

  test("a client that does not accept gzip gets a plain stream, and caches are told that there are two", async (t) => {
    const pair = await startPair(t, { config: { stream: { compression: "public" } } });
    const headersOf = async (headers: Record<string, string>) => {
      const stream = await openStream(pair.mongrel2.url + PATH, headers);
      await stream.close();
      return [stream.headers["content-encoding"], stream.headers.vary];
    };
    assert.deepEqual(await headersOf({}), [undefined, "Accept-Encoding"]);
    assert.deepEqual(await headersOf({ "accept-encoding": "br, gzip;q=0" }), [undefined, "Accept-Encoding"]);
    assert.deepEqual(await headersOf({ "accept-encoding": "br, gzip" }), ["gzip", "Accept-Encoding"]);
  });
});
