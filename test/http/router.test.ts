import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { M2pushError } from "../../src/errors.js";
import type { Route, RouteResult } from "../../src/http/route-table.js";
import { everything, HUB, type Sent, Web } from "./harness.js";

interface Pending {
  readonly body: string;
  respond(outcome: RouteResult): void;
  fail(error: unknown): void;
}

/** A site with an address that answers when a test says so, and one that answers at once. */
async function slow() {
  const pending: Pending[] = [];
  const later: Route = {
    name: "/later",
    methods: {
      POST: (_, { body }) =>
        new Promise((settle, fail) => pending.push({ body: body.toString(), respond: settle, fail }) as unknown),
    },
  };
  const now: Route = {
    name: "/now",
    methods: { GET: (_, { query }) => ({ status: 200, body: query, persists: true }) },
    options: () => ({ "X-More": "yes" }),
  };
  const open: Route = {
    name: "/open",
    methods: {
      GET: (server, { id, remote }) => {
        const subscription = { id, remote, interest: { selectors: [{ kind: "any" } as const], grants: [] } };
        const replay = { lastEventId: undefined, offset: undefined };
        web.hub.subscribe(server, { ...subscription, replay, head: Buffer.from(STREAM) });
        return "streaming";
      },
    },
  };
  const opened: number[] = [];
  const openAndFail: Route = {
    name: "/open-and-fail",
    methods: {
      GET: (server, request) => {
        void open.methods.GET?.(server, request);
        opened.push(...server.clients.keys());
        throw new RangeError("a mistake");
      },
    },
  };
  const broken: Route = {
    name: "/broken",
    methods: {
      GET: () => {
        throw new RangeError("a mistake");
      },
    },
  };
  const wait: Route = { name: "/wait", methods: { GET: () => new Promise(() => {}) } };
  const below: Route = { name: "/below", methods: { GET: () => ({ status: 200, body: "below" }) } };
  const routes = new Map([
    ["/later", later],
    ["/now", now],
    ["/open", open],
    ["/wait", wait],
    ["/open-and-fail", openAndFail],
    ["/broken", broken],
    ["/below/", below],
  ]);
  const web: Web = await Web.open({ routes });
  const post = (body: string, more: Sent = {}) => web.send("/later", { method: "POST", body, ...more });
  return { web, pending, post, opened };
}

const STREAM = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: open\n\n";
const ok = (body: string): RouteResult => ({ status: 200, body, persists: true });

describe("Router", () => {
  test("requests of one connection are answered in their order, whatever takes time", async () => {
    const { web, pending, post } = await slow();
    const id = post("one");
    web.send("/now", { id, query: "two" });
    post("three", { id });
    assert.deepEqual(web.responses(id), []);
    pending[0]?.respond(ok("1"));
    await web.until(id, 2);
    assert.equal(pending[1]?.body, "three");
    pending[1]?.respond(ok("3"));
    assert.deepEqual(
      (await web.until(id, 3)).map(({ body }) => body),
      ["1", "two", "3"],
    );
  });

  // A history read that threw while the stream was being opened wrote a 500 into it.
  test("what fails after a stream was opened cuts the connection, and writes nothing into the stream", async () => {
    const { web, opened } = await slow();
    const id = web.send("/open-and-fail");
    assert.ok(opened.includes(id));
    assert.deepEqual(web.outlet.cancelled, [id]);
    assert.doesNotMatch(web.outlet.received.get(id) ?? "", /500/);
    assert.deepEqual(web.answered, ["/open-and-fail 500 a mistake"]);
    assert.equal(web.server.clients.size, 0);
  });

  test("connections do not wait for one another", async () => {
    const { web, pending, post } = await slow();
    const [first, second] = [post("a"), post("b")];
    pending[1]?.respond(ok("2"));
    await web.until(second, 1);
    assert.deepEqual(web.responses(first), []);
    pending[0]?.respond(ok("1"));
    await web.until(first, 1);
  });

  test("a connection that asks more ahead than it can be sent in one turn is cut, and gets no answer at all", async () => {
    const { web, pending, post } = await slow();
    const id = post("first");
    for (let request = 0; request < 256; request++) web.send("/now", { id });
    assert.deepEqual(web.outlet.cancelled, []);
    web.send("/now", { id });
    assert.deepEqual(web.outlet.cancelled, [id]);
    pending[0]?.respond(ok("late"));
    await new Promise(setImmediate);
    assert.equal(web.outlet.received.get(id), undefined);
  });

  test("however many requests are sent at once, Mongrel2 is given their answers eight at a time", async () => {
    const { web, pending, post } = await slow();
    const id = post("first");
    for (let request = 1; request <= 100; request++) web.send("/now", { id, query: `${request}` });
    pending[0]?.respond(ok("0"));
    for (let answers = 8; answers < 101; answers += 8) {
      assert.equal((await web.until(id, answers)).length, answers);
      // Its writers run.
      web.clock.advance(1);
      web.outlet.pass();
    }
    const bodies = (await web.until(id, 101)).map(({ body }) => Number(body));
    assert.deepEqual(
      bodies,
      Array.from({ length: 101 }, (_, index) => index),
    );
  });

  test("an answer that comes after Mongrel2 was restarted goes nowhere: the connection is somebody else's", async () => {
    const { web, pending, post } = await slow();
    const id = post("before");
    web.send("/now", { id });
    web.hub.lost(web.server);
    web.server.start();
    pending[0]?.respond(ok("secret"));
    await new Promise(setImmediate);
    assert.equal(web.outlet.received.get(id), undefined);
  });

  test("a new connection with the id of an old one is served apart from what the old one still waits for", async () => {
    const { web, pending, post } = await slow();
    const id = post("old");
    web.hub.lost(web.server);
    web.server.start();
    post("new", { id });
    web.send("/now", { id, query: "after" });
    pending[0]?.respond(ok("to the old one"));
    await new Promise(setImmediate);
    assert.deepEqual(web.responses(id), []);
    pending[1]?.respond(ok("to the new one"));
    assert.deepEqual(
      (await web.until(id, 2)).map(({ body }) => body),
      ["to the new one", "after"],
    );
  });

  test("requests queued behind a response that ends the connection are dropped", async () => {
    const { web, pending, post } = await slow();
    const id = post("one");
    web.send("/open", { id });
    pending[0]?.respond({ status: 401, body: "no" });
    await web.until(id, 1);
    await new Promise(setImmediate);
    assert.equal(web.responses(id).length, 1);
    assert.deepEqual(web.outlet.closed, [id]);
    assert.equal(web.hub.clients, 0);
  });

  test("a second request on a stream is cut, one that waited for the stream to open too", async () => {
    const { web, pending, post } = await slow();
    const id = web.send("/open");
    web.send("/now", { id });
    assert.deepEqual(web.outlet.cancelled, [id]);
    assert.equal(web.hub.clients, 0);
    const other = post("first");
    web.send("/open", { id: other });
    web.send("/now", { id: other });
    pending[0]?.respond(ok("1"));
    await web.outlet.changes.until(() => web.outlet.cancelled.includes(other), "the cut");
    assert.equal(web.hub.clients, 0);
  });

  test("an answer that fails is a 503 where trying again is right, and a 500 otherwise; the log knows why", async () => {
    const { web, pending, post } = await slow();
    const ids = [post("a"), post("b"), post("c")];
    pending[0]?.fail(new M2pushError("unavailable", "stopping"));
    pending[1]?.fail(new M2pushError("storage_failed", "disk full"));
    pending[2]?.fail(new TypeError("a mistake"));
    const answers = await Promise.all(ids.map(async (id) => (await web.until(id, 1))[0]));
    assert.deepEqual(
      answers.map((answer) => [answer?.status, answer?.headers["retry-after"]]),
      [
        [503, "1"],
        [503, "1"],
        [500, undefined],
      ],
    );
    for (const answer of answers) assert.doesNotMatch(answer?.body ?? "", /stopping|disk|mistake/);
    assert.deepEqual(web.answered, ["/later 503 stopping", "/later 503 disk full", "/later 500 a mistake"]);
  });

  test("a mistake in a route costs one answer, and the next request is served", async () => {
    const { web } = await slow();
    const [answer] = web.responses(web.send("/broken"));
    assert.deepEqual([answer?.status, answer?.body], [500, "Internal Server Error\n"]);
    assert.deepEqual(web.answered, ["/broken 500 a mistake"]);
    assert.equal(web.responses(web.send("/now"))[0]?.status, 200);
  });

  test("a path has its route only as it is written, and one that ends in a slash those below it", async () => {
    const { web } = await slow();
    for (const [path, status] of [
      ["/now", 200],
      ["/no", 404],
      ["/now/", 404],
      ["/nowX", 404],
      ["/below", 404],
      ["/below/", 200],
      ["/below/a/b", 200],
      ["//now", 404],
    ] as const) {
      assert.equal((await web.get(path)).status, status, path);
    }
    const [now, below, other] = ["/now 200", "/below 200", "other 404"];
    assert.deepEqual(web.answered, [now, other, other, other, other, below, below, other]);
  });

  test("a method that a route has not is a 405 that names those it has, also a name that every object has", async () => {
    const { web } = await slow();
    for (const method of ["PUT", "CONSTRUCTOR", "TOSTRING", "__PROTO__"]) {
      const { status, headers } = await web.get("/now", { method });
      assert.deepEqual([status, headers.allow], [405, "GET, OPTIONS"], method);
    }
    const { status, headers, body } = await web.get("/now", { method: "OPTIONS" });
    assert.deepEqual([status, headers.allow, headers["x-more"], body], [204, "GET, OPTIONS", "yes", ""]);
  });

  for (const [what, sent, persists] of [
    ["HTTP/1.1 says nothing", {}, true],
    ["HTTP/1.1 says close", { headers: { connection: "Close" } }, false],
    ["HTTP/1.1 says close among others", { headers: { connection: "foo, close" } }, false],
    ["it is HTTP/1.0", { version: "HTTP/1.0" }, false],
    ["HTTP/1.0 says keep-alive", { version: "HTTP/1.0", headers: { connection: "keep-alive" } }, false],
    ["it is a HEAD", { method: "HEAD" }, true],
  ] as const) {
    test(`where ${what}, an answer that can keep the connection ${persists ? "keeps" : "ends"} it, and says so`, async () => {
      const route: Route = { name: "/x", methods: { GET: () => ok("x"), HEAD: () => ok("x") } };
      const web = await Web.open({ routes: new Map([["/x", route]]) });
      const id = web.send("/x", sent);
      assert.equal(web.outlet.closed.includes(id), !persists);
      assert.equal(/^Connection: close\r$/m.test(web.outlet.received.get(id) ?? ""), !persists);
    });
  }

  test("a HEAD has the head of the answer and nothing more", async () => {
    const route: Route = { name: "/x", methods: { HEAD: () => ok("four") } };
    const web = await Web.open({ routes: new Map([["/x", route]]) });
    const id = web.send("/x", { method: "HEAD" });
    assert.match(web.outlet.received.get(id) ?? "", /^HTTP\/1\.1 200 OK\r\n[\s\S]*Content-Length: 4\r\n\r\n$/);
  });

  test("an upload that Mongrel2 put into a file is refused, and what a client says of one beside a body counts for nothing", async () => {
    const { web, pending, post } = await slow();
    const refused = await web.get("/later", { method: "POST", upload: "start" });
    assert.equal(refused.status, 413);
    const id = post("a body", { upload: "done" });
    pending[0]?.respond(ok("taken"));
    assert.equal((await web.until(id, 1))[0]?.status, 200);
  });

  test("what is almost a request is answered and ended", async () => {
    const { web } = await slow();
    const { Router } = await import("../../src/http/router.js");
    const router = new Router({
      hub: web.hub,
      routes: new Map(),
      requestCompleted: () => {},
      commonHeaders: () => ({}),
    });
    router.refuse(web.server, 901, "websocket");
    router.refuse(web.server, 902, "malformed");
    assert.deepEqual(
      [901, 902].map((id) => web.responses(id)[0]?.status),
      [400, 400],
    );
    assert.deepEqual(web.outlet.closed, [901, 902]);
  });

  test("every answer has the date of its second, and so has a stream (RFC 9110 section 6.6.1)", async () => {
    const web = await Web.open();
    const dates = async () => {
      const answers = [
        await web.get("/esupdates"),
        await web.get(HUB, { query: "topic=a&lastEventID=x" }),
        await web.get(HUB, { method: "HEAD", query: "topic=a" }),
        await web.get(HUB, { method: "OPTIONS" }),
        await web.get(HUB),
        await web.get("/nowhere"),
        await web.get("/esupdates", { method: "DELETE" }),
        await web.post("topic=a"),
        await web.post("topic=a", { token: null }),
      ];
      return new Set(answers.map(({ headers }) => headers.date));
    };
    assert.deepEqual(await dates(), new Set(["Thu, 01 Jan 2026 00:00:00 GMT"]));
    web.clock.advance(61_999);
    assert.deepEqual(await dates(), new Set(["Thu, 01 Jan 2026 00:01:01 GMT"]));
  });

  test("an answer to a token in the query is private; others say what they said", async () => {
    const web = await Web.open();
    const token = await everything();
    const control = async (path: string, query: string) =>
      (await web.get(path, { query })).headers["cache-control"] ?? "";
    const stream = "no-cache, no-store, max-age=0, must-revalidate, no-transform";
    for (const path of [HUB, "/esupdates"]) {
      assert.equal(await control(path, `topic=a&authorization=${token}`), `private, ${stream}`);
      assert.equal(await control(path, "topic=a"), stream);
    }
    assert.equal(await control(`${HUB}/subscriptions`, `authorization=${token}`), "private, must-revalidate");
    assert.equal(await control(HUB, `authorization=${token}`), "private");
    assert.equal(await control(HUB, ""), "");
  });

  test("it is idle when every answer that takes time has been given, those behind it too", async () => {
    const { web, pending, post } = await slow();
    await web.router.idle();
    const id = post("one");
    post("two", { id });
    let isIdle = false;
    const idle = web.router.idle().then(() => {
      isIdle = true;
    });
    pending[0]?.respond(ok("1"));
    await web.until(id, 1);
    await new Promise(setImmediate);
    assert.equal(isIdle, false);
    pending[1]?.respond(ok("2"));
    await idle;
    assert.equal(web.responses(id).length, 2);
  });

  test("answers that take too long are given up: a publisher is told to come again, anybody else is cut, each once", async () => {
    const { web, pending, post } = await slow();
    const publisher = post("one");
    post("behind it", { id: publisher });
    const gone = post("of an earlier life");
    web.send("/now", { id: 77, query: "answered" });
    const reader = web.send("/later", { method: "GET" });
    const waiting = web.send("/wait");
    assert.equal(web.router.abandon(), 3);
    assert.equal(web.router.abandon(), 0);
    await web.router.idle();
    pending[0]?.respond(ok("late"));
    await new Promise(setImmediate);
    const [answer, ...more] = web.responses(publisher);
    assert.deepEqual([answer?.status, answer?.headers["retry-after"], answer?.headers.connection], [503, "1", "close"]);
    assert.deepEqual(more, []);
    assert.ok(web.outlet.closed.includes(publisher));
    assert.ok(web.outlet.cancelled.includes(waiting));
    assert.equal(web.outlet.received.get(waiting), undefined);
    assert.deepEqual([web.responses(reader)[0]?.status, web.responses(gone)[0]?.status], [405, 503]);
  });
});
