/** Pages of another origin in Chromium and in Firefox ESR, through a connection that breaks (Fetch Standard, CORS protocol). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { BROWSERS, tabOf } from "../support/any-browser.js";
import { startWire } from "../support/nats.js";
import { freePort } from "../support/ports.js";
import { HUB, mercure } from "./mercure.js";

const require = createRequire(import.meta.url);

const ROUTES = [
  { name: "the plain address", path: (topic: string) => `/esupdates?topic=${topic}` },
  { name: "the hub (0.x)", path: (topic: string) => `${HUB}?topic=${topic}` },
  { name: "the hub (draft-08)", path: (topic: string) => `${HUB}?match=${topic}` },
] as const;

const CLIENTS = ["EventSource", "fetch"] as const;

/**
 * What the pages run: `follow(client, url)` opens a stream, `opens()` resolves when it has its first position, `hears(count)` with its
 * events, `tries(url)` with the status of an answer or the name of the error.
 */
const SCRIPT = `
import { fetchEventSource } from "./fetch-event-source/index";

const heard = [];
let isOpen = false;
const looks = new Set();
function take({ type, data }) {
  if (type === "m2push-open") isOpen = true;
  else heard.push(type === "message" ? data : type + " " + data);
  for (const look of looks) look();
}
const until = (found) => new Promise((resolve) => {
  const look = () => {
    if (!found()) return;
    looks.delete(look);
    resolve([...heard]);
  };
  looks.add(look);
  look();
});
window.opens = () => until(() => isOpen);
window.hears = (count) => until(() => heard.length >= count);
const clients = {
  EventSource(url) {
    const source = new EventSource(url);
    for (const type of ["message", "m2push-open", "m2push-gap"]) source.addEventListener(type, take);
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) take({ type: "closed", data: "" });
    });
  },
  fetch(url) {
    fetchEventSource(url, {
      openWhenHidden: true,
      onmessage: ({ event, data }) => take({ type: event || "message", data }),
      onclose() { throw new Error("the stream ended"); },
      onerror: () => 100,
    });
  },
};
window.follow = (client, url) => clients[client](url);
window.tries = (url) => fetch(url).then(({ status }) => status, (error) => error.name);
`;

const pagePort = await freePort();
/** The hub is at 127.0.0.1. For a browser "localhost" is another site, not only another origin. */
const ALLOWED_ORIGIN = `http://localhost:${pagePort}`;
const OTHER_ORIGIN = `http://127.0.0.1:${pagePort}`;

const hub = mercure({ config: { stream: { retry: "100ms" }, auth: { cors_origins: [ALLOWED_ORIGIN] } } });

/** The files of the pages' origin, by their address. */
function fileOf(url: string): readonly [type: string, text: string] {
  const [, module] = /^\/fetch-event-source\/(\w+)$/.exec(url) ?? [];
  if (module !== undefined) {
    const main = require.resolve("@microsoft/fetch-event-source");
    return ["text/javascript", readFileSync(new URL(`../esm/${module}.js`, `file://${main}`), "utf8")];
  }
  if (url === "/page.js") return ["text/javascript", SCRIPT];
  return ["text/html", '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>'];
}

const pages = createServer(({ url = "/" }, response) => {
  const [type, text] = fileOf(url);
  response.setHeader("content-type", type).end(text);
});
before(() => new Promise<void>((resolve) => pages.listen(pagePort, "127.0.0.1", resolve)));
after(() => {
  pages.closeAllConnections();
  return new Promise((resolve) => pages.close(resolve));
});

let topics = 0;

for (const browser of BROWSERS) {
  describe(`a page of another origin in ${browser.name}`, () => {
    const tab = tabOf(browser);

    for (const client of CLIENTS) {
      for (const { name, path } of ROUTES) {
        test(`receives every event once, in order, across a broken connection, by ${client} at ${name}`, async (t) => {
          const wire = await startWire(t, hub.pair.mongrel2.port);
          const topic = `origin-${++topics}`;
          const url = `http://127.0.0.1:${wire.port}${path(topic)}`;
          const publish = (data: string) => hub.published({ topic, data });
          await tab().goto(ALLOWED_ORIGIN);
          await tab().evaluate(`follow("${client}", "${url}")`);
          await tab().evaluate("opens()");
          await publish("one");
          await publish("two");
          await tab().evaluate("hears(2)");
          wire.cut();
          await publish("three");
          await publish("four");
          wire.restore();
          await tab().evaluate("hears(4)");
          await publish("five");
          assert.deepEqual(await tab().evaluate("hears(5)"), ["one", "two", "three", "four", "five"]);
        });
      }
    }

    for (const { name, path } of ROUTES) {
      test(`may not read ${name} where its origin is not in cors_origins`, async () => {
        await tab().goto(OTHER_ORIGIN);
        assert.equal(await tab().evaluate(`tries("${hub.pair.mongrel2.url}${path("refused")}")`), "TypeError");
      });
    }
  });
}
