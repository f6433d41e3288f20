/** Client libraries as they are on npm, through a connection that breaks: what their pages hear of the events, and of nothing else. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { Changes } from "../support/deadline.js";
import { type Heard, LIBRARIES, type Library } from "../support/event-sources.js";
import { startWire, type Wire } from "../support/nats.js";
import { PROJECT } from "../support/processes.js";
import { openStream } from "../support/sse-client.js";
import { HUB, mercure } from "./mercure.js";

const require = createRequire(import.meta.url);
const HEARTBEATS = 60;

const hub = mercure({ config: { stream: { retry: "100ms", heartbeat: "50ms" } } });

const ROUTES = [
  { name: "the plain address", path: (topic: string) => `/esupdates?topic=${topic}` },
  { name: "the hub (0.x)", path: (topic: string) => `${HUB}?topic=${topic}` },
  { name: "the hub (draft-08)", path: (topic: string) => `${HUB}?match=${topic}` },
] as const;

/** A page that parses what it hears as JSON, as most do: a library that calls it for anything else fails there. */
class Page {
  readonly values: unknown[] = [];
  readonly gaps: string[] = [];
  readonly faults: string[] = [];
  readonly #changes = new Changes();
  readonly #topic: string;
  #ids = 0;
  #isOpen = false;

  constructor(t: TestContext, wire: Wire, library: Library, path: string, topic: string) {
    this.#topic = topic;
    t.after(library.open(`http://127.0.0.1:${wire.port}${path}`, (heard) => this.#hear(heard)));
  }

  /** Publishes a value; with an id of the publisher's own every other time. */
  async publish(value: string): Promise<void> {
    const own = ++this.#ids % 2 === 0 ? { id: `${this.#topic} é ${this.#ids}` } : {};
    await hub.published({ topic: this.#topic, data: JSON.stringify(value), ...own });
  }

  async hears(count: number): Promise<void> {
    const found = () => `: ${JSON.stringify([this.values, this.gaps, this.faults])}`;
    await this.#changes.until(() => this.values.length >= count, `${count} events`, undefined, found);
  }

  /** Resolves when it has its first position. */
  async opens(): Promise<void> {
    await this.#changes.until(
      () => this.#isOpen,
      "the opening",
      undefined,
      () => this.faults.join(),
    );
  }

  #hear({ type, data }: Heard): void {
    try {
      const value: unknown = JSON.parse(data);
      if (type === "m2push-open") this.#isOpen = true;
      if (type === "m2push-gap") this.gaps.push(data);
      else if (type === "message") this.values.push(value);
    } catch (error) {
      this.faults.push(`${type} ${JSON.stringify(data)}`);
      throw error;
    } finally {
      this.#changes.tell();
    }
  }
}

let topics = 0;

async function open(t: TestContext, library: Library, path: (topic: string) => string) {
  const topic = `library-${++topics}`;
  const wire = await startWire(t, hub.pair.mongrel2.port);
  const from = hub.pair.daemon.log.length;
  const page = new Page(t, wire, library, path(topic), topic);
  const connected = (start: number) =>
    hub.pair.daemon.logged(
      ({ event, topics: all }) => event === "client_connected" && String(all).includes(topic),
      "the page",
      {
        from: start,
      },
    );
  await connected(from);
  return { page, wire, topic, connected };
}

describe("client libraries", () => {
  for (const library of LIBRARIES) {
    for (const { name, path } of ROUTES) {
      test(`${library.name} hears every event once, in order, across a broken connection, at ${name}`, async (t) => {
        const { page, wire } = await open(t, library, path);
        await page.publish("one");
        await page.publish("two");
        await page.hears(2);
        wire.cut();
        await page.publish("three");
        await page.publish("four");
        wire.restore();
        await page.hears(4);
        await page.publish("five");
        await page.hears(5);
        assert.deepEqual([page.values, page.gaps, page.faults], [["one", "two", "three", "four", "five"], [], []]);
      });
    }
  }

  for (const library of LIBRARIES) {
    test(`${library.name} comes back although it has heard no event yet, and misses nothing`, async (t) => {
      const { page, wire } = await open(t, library, ROUTES[0].path);
      await page.opens();
      wire.cut();
      await page.publish("one");
      wire.restore();
      await page.hears(1);
      assert.deepEqual([page.values, page.gaps, page.faults], [["one"], [], []]);
    });
  }

  test("are those of docs/client-libraries.md, which says what each needs", () => {
    const text = readFileSync(join(PROJECT, "docs/client-libraries.md"), "utf8");
    const named = [...text.matchAll(/^\| `([^`]+)` (\d)(?: with `(\w+)`)? \| /gm)].map(([, name, major, option]) =>
      option === undefined ? `${name} ${major}` : `${name} ${major} with ${option}`,
    );
    assert.deepEqual(
      named,
      LIBRARIES.map(({ name }) => name),
    );
  });

  test("@microsoft/fetch-event-source hears nothing of heartbeats, and stays on its first connection", async (t) => {
    const [library] = LIBRARIES;
    const { page, topic } = await open(t, library as Library, ROUTES[0].path);
    const beside = await openStream(`${hub.pair.mongrel2.url}/esupdates?topic=${topic}`);
    t.after(() => beside.close());
    await beside.until(({ comments }) => comments.length > HEARTBEATS, `${HEARTBEATS} heartbeats`);
    await page.publish("one");
    await page.hears(1);
    assert.deepEqual([page.values, page.gaps, page.faults], [["one"], [], []]);
    const connects = hub.pair.daemon.log.filter(
      ({ event, topics: all }) => event === "client_connected" && String(all) === topic,
    );
    assert.equal(connects.length, 2, "this page's and the one beside it");
  });
});

/** What development servers are: express, with `compression` before a proxy. */
async function startCompressingProxy(t: TestContext): Promise<string> {
  const express = require("express");
  const { createProxyMiddleware } = require("http-proxy-middleware");
  const app = express();
  app.use(require("compression")());
  app.use(createProxyMiddleware({ target: hub.pair.mongrel2.url }));
  const server: Server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("a compressing proxy", () => {
  // Without no-transform 0 of 20 arrived: they waited in the compressor's block.
  for (const encoding of ["gzip", "br", "deflate"]) {
    test(`passes events on at once to a client that accepts ${encoding}`, async (t) => {
      const proxy = await startCompressingProxy(t);
      const topic = `proxy-${encoding}`;
      const client = await openStream(`${proxy}/esupdates?topic=${topic}`, { "accept-encoding": encoding });
      t.after(() => client.close());
      await client.until(({ lastEventId }) => lastEventId !== "", "its first position");
      for (let event = 1; event <= 20; event++) await hub.published({ topic, data: `${event}` });
      await client.until(({ events }) => events.length >= 20, "20 events");
      assert.equal(client.headers["content-encoding"], undefined);
      assert.deepEqual(
        client.events.map(({ data }) => Number(data)),
        Array.from({ length: 20 }, (_, index) => index + 1),
      );
    });
  }
});
