/**
 * m2push/client in Chromium, in Firefox ESR and in Node.js, through a proxy that stalls, a daemon that freezes, and tokens that expire. The page has a
 * content security policy that allows scripts, workers and connections of its own origin only.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BROWSERS, type Tab, tabOf } from "../support/any-browser.js";
import { HTML } from "../support/browser.js";
import { WAIT_TIMEOUT_MS, within } from "../support/deadline.js";
import { type Pair, startPair } from "../support/pair.js";
import { Relay } from "../support/relay.js";
import { HUB, inSeconds, old, SECRET } from "./mercure.js";

/** What a test drives: `follow()` begins a stream, `until()` waits for what it has told. */
const SCRIPT = `
Object.assign(globalThis, { heard: [], failures: [], states: [], gaps: [] });
const looks = new Set();
const tell = (list, value) => { list.push(value); for (const look of looks) look(); };
globalThis.follow = (target, options) => {
  globalThis.hub?.close();
  for (const list of [heard, failures, states, gaps]) list.length = 0;
  globalThis.hub = connect(target, options);
  hub.addEventListener("message", ({ data }) => tell(heard, data));
  hub.addEventListener("failure", ({ detail }) => tell(failures, detail));
  hub.addEventListener("state", ({ detail }) => tell(states, detail));
  hub.addEventListener("gap", ({ detail }) => tell(gaps, detail));
};
Object.assign(globalThis, { urlPattern });
globalThis.until = (found) => new Promise((resolve) => {
  const look = () => found() && (looks.delete(look), resolve());
  looks.add(look);
  look();
});
`;
const POLICY = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'";
const PAGE = {
  ...HTML,
  "driver.js": `import { connect, urlPattern } from "./client/index.js";\n${SCRIPT}`,
  "driven.html": `<!doctype html><meta http-equiv="Content-Security-Policy" content="${POLICY}"><link rel="icon" href="data:,">
<script type="module" src="driver.js"></script>`,
};

/** The same in this process. */
const NODE = {
  name: "Node.js",
  open: async (): Promise<Tab> => {
    const { connect, urlPattern } = await import("m2push/client");
    Function("connect", "urlPattern", SCRIPT)(connect, urlPattern);
    return { goto: async () => {}, evaluate: async (expression) => Function(`return (${expression})`)() };
  },
};

let pair: Pair;
let relay: Relay;
const ends: (() => unknown)[] = [];

before(async () => {
  pair = await startPair(
    { after: (end: () => unknown) => void ends.push(end) },
    {
      html: PAGE,
      config: {
        stream: { heartbeat: "500ms", retry: "200ms" },
        auth: { subscriber_key: SECRET, publisher_key: SECRET },
      },
    },
  );
  relay = await Relay.to(`tcp://127.0.0.1:${pair.mongrel2.port}`);
});
after(async () => {
  relay.close();
  for (const end of ends.reverse()) await end();
});

for (const environment of [...BROWSERS, NODE]) {
  describe(`Client in ${environment.name}, end to end`, () => {
    after(() => evaluate("hub.close()"));
    const tab = tabOf(environment);
    const base = () => relay.spec.replace("tcp:", "http:");
    const topic = (name: string) => `${environment.name}/${name}`;
    const evaluate = (expression: string) => within(WAIT_TIMEOUT_MS, tab().evaluate(expression), expression);
    const until = (expression: string) => evaluate(`until(() => ${expression})`);
    const publish = (name: string, data: string, more = {}) => pair.publisher.publish(data, topic(name), more);
    /** Opens a stream of the hub through the relay, and waits for its first event. */
    const follow = async (name: string, options = "{}") => {
      await evaluate(`follow({ url: "${base()}${HUB}", topics: ["${topic(name)}"] }, ${options})`);
      await until('hub.state === "open"');
      await publish(name, "first");
      await until('heard.includes("first")');
    };

    before(() => tab().goto(`${base()}/driven.html`));

    test("has every event once, in order, across a proxy that stalls", async () => {
      await follow("stall");
      assert.equal(await evaluate("hub.shared"), environment !== NODE);
      relay.stall();
      await publish("stall", "1");
      await until("heard.length === 2");
      await publish("stall", "2");
      await until("heard.length === 3");
      const reason = "silent for 1000 ms";
      assert.deepEqual(await evaluate("[heard, gaps, failures[0].reason]"), [["first", "1", "2"], [], reason]);
    });

    test("has every event once, in order, across a daemon that freezes", async () => {
      await follow("freeze");
      pair.daemon.signal("SIGSTOP");
      await until('hub.state === "connecting"');
      pair.daemon.signal("SIGCONT");
      await publish("freeze", "1");
      await until('heard.length === 2 && hub.state === "open"');
      assert.deepEqual(await evaluate("[heard, gaps]"), [["first", "1"], []]);
    });

    test("replaces its token before it expires, and keeps private events", async () => {
      const [first, second] = [await token(topic("token"), 3), await token(topic("token"), 600)];
      const options = `{ share: "user", token: ((tokens) => () => tokens.length > 1 ? tokens.shift() : tokens[0])(["${first}", "${second}"]) }`;
      const from = pair.daemon.log.length;
      await follow("token", options);
      assert.equal(await evaluate("hub.shared"), environment !== NODE, "the worker asks the page for tokens");
      await publish("token", "1", { private: true });
      await until("heard.length === 2");
      const connects = () => pair.daemon.log.slice(from).filter(({ event }) => event === "connect").length;
      await pair.daemon.logged(() => connects() === 2, "the stream with the second token", { from });
      await publish("token", "2", { private: true });
      await until("heard.length === 3");
      assert.deepEqual(await evaluate("[heard, gaps]"), [["first", "1", "2"], []]);
    });

    test("tells that a token is refused (401, 403), and goes on with a good one", async () => {
      const good = await token(topic("refused"), 600);
      await follow("refused", `{ token: () => failures.length === 0 ? "bad" : "${good}" }`);
      assert.equal(await evaluate("failures[0].status"), 401);
      await evaluate(`follow("${base()}${HUB}/subscriptions", { token: "${good}" })`);
      await until("failures.length > 0");
      assert.equal(await evaluate("failures[0].status"), 403);
    });

    test("changes URL patterns on the open stream", async () => {
      const book = (id: string) => `https://example.com/${encodeURIComponent(environment.name)}/${id}`;
      await evaluate(`follow({ url: "${base()}${HUB}", match: ["${topic("exact")}"] }, { control: true })`);
      await until('hub.state === "open"');
      const connects = () => pair.daemon.log.filter(({ event }) => event === "connect").length;
      const before = connects();
      await evaluate(`hub.change({ add: [urlPattern("${book(":id")}")] })`);
      await pair.publisher.publish("a book", book("1"));
      await publish("exact", "exactly");
      await until("heard.length === 2");
      await evaluate(`hub.change({ remove: [urlPattern("${book(":id")}")] })`);
      await pair.publisher.publish("another book", book("2"));
      await publish("exact", "the end");
      await until("heard.length === 3");
      assert.deepEqual(await evaluate("[heard, gaps]"), [["a book", "exactly", "the end"], []]);
      assert.equal(connects(), before);
    });

    test("changes its topics on the open stream, and has the new ones after a broken connection", async () => {
      await follow("before", "{ control: true, heartbeat: false }");
      const from = pair.daemon.log.length;
      await evaluate(`hub.change({ add: ["${topic("after")}"], remove: ["${topic("before")}"] })`);
      await publish("before", "not this");
      await publish("after", "1");
      await until("heard.length === 2");
      assert.equal(
        pair.daemon.log.slice(from).some(({ event }) => event === "connect"),
        false,
      );
      relay.cut();
      await until("failures.length > 0");
      await publish("after", "2");
      await until("heard.length === 3");
      assert.deepEqual(await evaluate("[heard, gaps]"), [["first", "1", "2"], []]);
    });

    test("begins with the newest event of a topic, on a connection of its own", async () => {
      for (const data of ["old", "newest"]) await publish("latest", data);
      await evaluate(`follow({ url: "${base()}${HUB}", topics: ["${topic("latest")}"], latest: true })`);
      await until("heard.length > 0");
      await publish("latest", "next");
      await until("heard.length > 1");
      assert.deepEqual(await evaluate("[heard, gaps, hub.shared]"), [["newest", "next"], [], false]);
    });

    if (environment !== NODE) {
      test("reads with EventSource, too", async () => {
        await follow("eventsource", '{ transport: "eventsource", share: false }');
        relay.stall();
        await publish("eventsource", "1");
        await until("heard.length === 2");
        assert.deepEqual(await evaluate("[heard, gaps]"), [["first", "1"], []]);
      });
    }
  });
}

/** For private events of a topic, for some seconds. */
const token = (topic: string, seconds: number) => old({ subscribe: [topic] }, { exp: inSeconds(seconds) });
