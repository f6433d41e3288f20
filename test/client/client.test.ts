/** m2push/client in Node.js, by its public names: without a network, and with the test's own time. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { connect, type Failure, type Gap, type Options, type Target, urlPattern } from "m2push/client";
import { type FakeFetch, fakeFetch, turn } from "../support/fake-fetch.js";

const HUB = "http://hub.example/.well-known/mercure";
const NEWS: Target = { url: HUB, topics: ["news"] };
const OPEN = 'retry: 1000\nevent: m2push-open\nid: #e.5\ndata: {"stream":"name"}\n\n';
const beat = (seconds: number) => `event: m2push-heartbeat\ndata: ${seconds}\n\n`;
const message = (number: number) => `id: #e.${number}\ndata: ${number}\n\n`;

function start(t: TestContext, target: Target = NEWS, options: Options = {}) {
  const net = fakeFetch(t);
  const hub = connect(target, options);
  t.after(() => hub.close());
  const heard: string[] = [];
  const states: string[] = [];
  const gaps: Gap[] = [];
  const failures: Failure[] = [];
  hub.addEventListener("message", ({ data, lastEventId }) => heard.push(`${data} ${lastEventId}`));
  hub.addEventListener("state", ({ detail }) => states.push(detail));
  hub.addEventListener("gap", ({ detail }) => gaps.push(detail));
  hub.addEventListener("failure", ({ detail }) => failures.push(detail));
  return { net, hub, heard, states, gaps, failures };
}

/** Opens the stream of a request and waits until the client has read the beginning. */
async function open(net: FakeFetch, index: number, text = OPEN) {
  const request = (await net.request(index)).open(text);
  await turn();
  return request;
}

/** A JWT that nobody has signed. */
const jwt = (exp: number, number = 1) =>
  `e30.${Buffer.from(JSON.stringify({ exp, number })).toString("base64url")}.c2ln`;

describe("Client", () => {
  test("asks for topics and heartbeats, and reads events of the types that are listened to", async (t) => {
    const { net, hub, heard, states } = start(t);
    const request = await open(net, 0);
    assert.equal(request.url.href, `${HUB}?topic=news&heartbeat=event`);
    assert.equal(request.headers.get("accept"), "text/event-stream");
    assert.equal(request.headers.get("last-event-id"), null);
    assert.deepEqual([hub.state, hub.lastEventId, hub.shared, states], ["open", "#e.5", false, ["open"]]);
    const prices: string[] = [];
    hub.addEventListener("price", ({ data, origin }) => prices.push(`${data} of ${origin}`));
    request.send(
      `${message(6)}event: price\ndata: 7\n\nevent: other\ndata: 8\n\nevent: state\ndata: 9\n\n${message(10)}`,
    );
    await turn();
    assert.deepEqual([heard, prices, states], [["6 #e.6", "10 #e.10"], ["7 of http://hub.example"], ["open"]]);
  });

  test("spells out what a stream begins with, and the matchers of draft-08", async (t) => {
    const net = fakeFetch(t);
    const since = new Date(Date.UTC(2026, 0, 1));
    const cases: [Target, string][] = [
      [{ url: HUB, match: ["a", "b"] }, "?match=a&match=b"],
      [{ url: `${HUB}?match_urlpattern=/a/:b` }, "?match_urlpattern=/a/:b"],
      [{ ...NEWS, latest: true }, "?latest=1&topic=news"],
      [{ ...NEWS, last: 20 }, "?last=20&topic=news"],
      [{ ...NEWS, since: "10m" }, "?since=10m&topic=news"],
      [{ ...NEWS, since }, "?since=2026-01-01T00%3A00%3A00.000Z&topic=news"],
    ];
    for (const [index, [target, query]] of cases.entries()) {
      const hub = connect(target, { heartbeat: false });
      assert.equal((await net.request(index)).url.href, `${HUB}${query}`);
      hub.close();
    }
    const hub = connect({ ...NEWS, lastEventId: "earliest" });
    assert.equal((await net.request(cases.length)).headers.get("last-event-id"), "earliest");
    hub.close();
    assert.throws(() => connect("/relative"), TypeError);
  });

  test("reconnects from its last event, with a delay that doubles from the hub's own, and starts again from it once it was open", async (t) => {
    const { net, hub, heard, failures, states } = start(t);
    const request = await open(net, 0, OPEN + message(6));
    request.end();
    await turn();
    assert.deepEqual([hub.state, failures], ["connecting", [{ reason: "ended", retryInMs: 1000 }]]);
    await net.pass(999);
    assert.equal(net.requests.length, 1);
    await net.pass(1);
    const delays = [2000, 4000, 8000, 16_000, 30_000, 30_000];
    for (const [index, delay] of delays.entries()) {
      const failing = await net.request(index + 1);
      assert.equal(failing.headers.get("last-event-id"), "#e.6");
      failing.fail(new Error("unreachable"));
      await net.pass(0);
      assert.deepEqual(failures.at(-1), { reason: "Error: unreachable", retryInMs: delay });
      await net.pass(delay);
    }
    const again = await open(net, delays.length + 1, message(7));
    assert.deepEqual(
      [heard, states],
      [
        ["6 #e.6", "7 #e.7"],
        ["open", "connecting", "open"],
      ],
    );
    again.end();
    await turn();
    assert.equal(failures.at(-1)?.retryInMs, 1000);
  });

  test("the delays of clients differ by half at most", async (t) => {
    const { net, failures } = start(t);
    t.mock.method(Math, "random", () => 0.5);
    (await open(net, 0)).end();
    await turn();
    assert.equal(failures[0]?.retryInMs, 1250);
  });

  test("tells 401, 403 and other refusals with the hub's words, waits as long as the hub asks, and goes on", async (t) => {
    const { net, hub, failures, gaps } = start(t);
    const refusals: [number, string, Record<string, string>][] = [
      [401, "a token is required\n", {}],
      [403, "the token does not grant this topic\n", {}],
      [503, "", { "retry-after": "120" }],
    ];
    for (const [index, [status, text, headers]] of refusals.entries()) {
      (await net.request(index)).answer(status, text, headers);
      await net.pass(0);
      assert.equal(hub.state, "connecting");
      await net.pass(failures.at(-1)?.retryInMs ?? 0);
    }
    (await net.request(3)).answer(200, "<p>a page</p>");
    await net.pass(0);
    assert.deepEqual(failures, [
      { reason: "401 a token is required", status: 401, retryInMs: 1000 },
      { reason: "403 the token does not grant this topic", status: 403, retryInMs: 2000 },
      { reason: "503", status: 503, retryInMs: 120_000 },
      { reason: "not an event stream", status: 200, retryInMs: 8000 },
    ]);
    await net.pass(8000);
    await open(net, 4);
    assert.deepEqual([hub.state, gaps], ["open", []]);
  });

  test("204 ends it, as the hub asks", async (t) => {
    const { net, hub, states, failures } = start(t);
    (await net.request(0)).answer(204);
    await net.pass(60_000);
    assert.deepEqual([hub.state, states, failures, net.requests.length], ["closed", ["closed"], [], 1]);
  });

  test("tells a gap of the hub, and one of its own where it has no position to continue from", async (t) => {
    const { net, gaps } = start(t);
    const gap = { reason: "expired", oldest: "#e.3" };
    const request = await open(net, 0, "retry: 1000\n\n");
    request.end();
    await net.pass(1000);
    assert.deepEqual(gaps, [{ reason: "unknown", oldest: "" }]);
    const again = await open(net, 1, `event: m2push-gap\nid: #e.4\ndata: ${JSON.stringify(gap)}\n\n`);
    assert.deepEqual(gaps[1], gap);
    again.end();
    await net.pass(1000);
    assert.equal((await net.request(2)).headers.get("last-event-id"), "#e.4");
    assert.equal(gaps.length, 2);
  });

  test("leaves a stream that is silent for two heartbeats; any byte is a sign of life", async (t) => {
    const { net, hub, failures } = start(t);
    const request = await open(net, 0, beat(15) + OPEN);
    for (let quarter = 0; quarter < 8; quarter++) {
      await net.pass(15_000);
      request.send(quarter % 2 ? beat(15) : ": comment\n");
    }
    await net.pass(29_999);
    assert.equal(hub.state, "open");
    await net.pass(1);
    assert.deepEqual(failures, [{ reason: "silent for 30000 ms", retryInMs: 1000 }]);
    assert.equal(request.isAborted, true);
    await net.pass(1000);
    const again = await open(net, 1, beat(15) + OPEN + beat(0));
    await net.pass(600_000);
    assert.deepEqual([hub.state, again.isAborted], ["open", false], "no heartbeat is announced any more");
  });

  test("does not watch a hub without heartbeats, but leaves one that does not answer", async (t) => {
    const { net, hub, failures } = start(t);
    const request = await net.request(0);
    await net.pass(30_000);
    assert.deepEqual([request.isAborted, failures], [true, [{ reason: "silent for 30000 ms", retryInMs: 1000 }]]);
    await net.pass(1000);
    await open(net, 1);
    await net.pass(3_600_000);
    assert.deepEqual([hub.state, net.requests.length], ["open", 2]);
  });

  test("asks for a new token before the old one expires, and continues with it", async (t) => {
    let made = 0;
    const token = () => jwt(Date.now() / 1000 + 600, ++made);
    const { net, heard, states, failures } = start(t, NEWS, { token });
    const request = await open(net, 0, OPEN + message(6));
    const first = request.headers.get("authorization");
    assert.equal(first, `Bearer ${jwt(Date.UTC(2026, 0, 1) / 1000 + 600)}`);
    await net.pass(569_999);
    assert.equal(net.requests.length, 1);
    await net.pass(1);
    const next = await open(net, 1, message(7));
    assert.deepEqual([request.isAborted, next.headers.get("last-event-id")], [true, "#e.6"]);
    assert.notEqual(next.headers.get("authorization"), first);
    assert.deepEqual([heard, states, failures], [["6 #e.6", "7 #e.7"], ["open"], []]);
  });

  test("keeps its stream where there is no new token yet, and asks again when the hub has ended it", async (t) => {
    const tokens = [() => jwt(Date.now() / 1000 + 60), () => Promise.reject(new Error("away")), () => "opaque"];
    const { net, hub, failures } = start(t, NEWS, { token: async () => tokens.shift()?.() });
    const request = await open(net, 0);
    await net.pass(59_000);
    assert.deepEqual([request.isAborted, hub.state], [false, "open"]);
    request.end();
    await net.pass(1000);
    assert.equal((await net.request(1)).headers.get("authorization"), "Bearer opaque");
    assert.deepEqual(
      failures.map(({ reason }) => reason),
      ["ended"],
    );
  });

  test("retries where the token cannot be made; one that is the same again is used to its end", async (t) => {
    const same = jwt(Date.UTC(2026, 0, 1) / 1000 + 60);
    const tokens = [() => Promise.reject(new Error("away")), () => same, () => same];
    const { net, failures } = start(t, NEWS, { token: async () => tokens.shift()?.() });
    await net.pass(0);
    assert.deepEqual(failures, [{ reason: "Error: away", retryInMs: 1000 }]);
    await net.pass(1000);
    const request = await open(net, 0);
    await net.pass(58_000);
    assert.deepEqual([request.isAborted, tokens.length], [false, 0]);
  });

  test("changes topics without a new connection, and asks for the new ones after a reconnect", async (t) => {
    const { net, hub } = start(t, NEWS, { control: true, headers: { "X-Own": "1" } });
    const request = await open(net, 0);
    assert.equal(request.url.searchParams.get("control"), "1");
    const changing = hub.change({ add: ["weather", "a b"], remove: ["news"] });
    const patch = await net.request(1);
    assert.deepEqual(
      [patch.method, patch.url.href, patch.body, patch.headers.get("x-own")],
      ["PATCH", `${HUB}/streams/name`, "add=weather&add=a+b&remove=news", "1"],
    );
    patch.answer(200, "{}");
    await changing;
    assert.deepEqual([hub.topics, request.isAborted], [["weather", "a b"], false]);
    request.end();
    await net.pass(1000);
    assert.deepEqual((await net.request(2)).url.searchParams.getAll("topic"), ["weather", "a b"]);
    await hub.change({ add: ["news"] });
    assert.deepEqual((await net.request(3)).url.searchParams.getAll("topic"), ["weather", "a b", "news"]);
  });

  test("has URL patterns of Mercure draft-08 among its topics, and changes them", async (t) => {
    const match = ["news", urlPattern("/books/:id")];
    const { net, hub } = start(t, { url: HUB, match }, { control: true });
    const request = await open(net, 0);
    const { searchParams } = request.url;
    assert.deepEqual(
      [searchParams.getAll("match"), searchParams.getAll("match_urlpattern")],
      [["news"], ["/books/:id"]],
    );
    const changing = hub.change({ add: ["weather", urlPattern("/lifts/*")], remove: [urlPattern("/books/:id")] });
    const patch = await net.request(1);
    const wanted = "add=weather&add_urlpattern=%2Flifts%2F*&remove_urlpattern=%2Fbooks%2F%3Aid";
    assert.equal(patch.body, wanted);
    patch.answer(200, "{}");
    await changing;
    assert.deepEqual(hub.topics, ["news", "weather", urlPattern("/lifts/*")]);
    request.end();
    await net.pass(1000);
    const again = (await net.request(2)).url.searchParams;
    assert.deepEqual([again.getAll("match"), again.getAll("match_urlpattern")], [["news", "weather"], ["/lifts/*"]]);
  });

  test("keeps its topics where the hub refuses a change, and tells its words", async (t) => {
    const { net, hub } = start(t, NEWS, { control: true });
    await open(net, 0);
    const changes = [hub.change({ add: ["{"] }), hub.change({ add: ["weather"] })];
    (await net.request(1)).answer(400, "a bad template");
    await assert.rejects(changes[0] ?? Promise.resolve(), /^Error: the hub refuses the topics: 400 a bad template$/);
    (await net.request(2)).answer(200, "{}");
    await changes[1];
    assert.deepEqual(hub.topics, ["news", "weather"]);
    await assert.rejects(hub.change({ remove: ["news", "weather"] }), /fix: close\(\) it/);
  });

  test("changes topics by a new connection where the hub cannot change the stream", async (t) => {
    const { net, hub, heard } = start(t, NEWS, { control: true });
    const request = await open(net, 0, `${message(6)}`);
    await hub.change({ add: ["weather"] });
    const next = await open(net, 1, message(7));
    assert.deepEqual([request.isAborted, next.headers.get("last-event-id")], [true, "#e.6"]);
    next.send(OPEN);
    await turn();
    const changing = hub.change({ remove: ["news"] });
    (await net.request(2)).answer(404, "");
    await changing;
    assert.deepEqual((await net.request(3)).url.searchParams.getAll("topic"), ["weather"]);
    assert.deepEqual(heard, ["6 #e.6", "7 #e.7"]);
  });

  test("is iterable: events in order, until it is closed", async (t) => {
    const { net, hub } = start(t);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { data } of hub) seen.push(data);
    })();
    const both = hub.events("price", "gap");
    const first = both.next();
    const request = await open(net, 0, OPEN + message(6) + message(7));
    request.send("event: price\ndata: 1\n\n");
    const { value } = await first;
    assert.equal(value?.type, "price");
    await both.return();
    hub.close();
    await reading;
    assert.deepEqual([seen, hub.state, request.isAborted], [["6", "7"], "closed", true]);
  });

  test("an iteration that falls too far behind throws", async (t) => {
    const { net, hub } = start(t);
    const events = hub.events("message");
    const rejected = assert.rejects(events.next(), /10001 events wait; fix: take them faster/);
    await open(net, 0, OPEN + message(6).repeat(10_001));
    await rejected;
  });

  test("reconnects at once when the network is back, or the page visible again", async (t) => {
    const page = new EventTarget();
    const document = { visibilityState: "hidden" };
    Object.assign(globalThis, { addEventListener: page.addEventListener.bind(page), document });
    t.after(() => {
      for (const name of ["addEventListener", "document"]) Reflect.deleteProperty(globalThis, name);
    });
    const { net, hub, states } = start(t);
    for (const [index, type] of ["online", "visibilitychange"].entries()) {
      (await open(net, index)).end();
      await turn();
      if (type === "visibilitychange") page.dispatchEvent(new Event(type));
      await turn();
      assert.deepEqual([hub.state, net.requests.length], ["connecting", index + 1]);
      document.visibilityState = "visible";
      page.dispatchEvent(new Event(type));
      document.visibilityState = "hidden";
      await net.request(index + 1);
    }
    const request = await open(net, 2);
    page.dispatchEvent(new Event("online"));
    hub.close();
    page.dispatchEvent(new Event("online"));
    await turn();
    assert.deepEqual([request.isAborted, net.requests.length], [true, 3]);
    assert.deepEqual(states, ["open", "connecting", "open", "connecting", "open", "closed"]);
  });

  test("a transport that is not there is a failure", async (t) => {
    const { net, failures } = start(t, NEWS, { transport: "eventsource" });
    await net.pass(0);
    assert.match(failures[0]?.reason ?? "", /EventSource is not defined/);
  });

  test("leaves nothing behind when it is closed: no timer, no request (P6)", async (t) => {
    const { net, hub, states } = start(t, NEWS, { token: () => jwt(Date.now() / 1000 + 60) });
    const request = await open(net, 0, beat(1) + OPEN);
    hub.close();
    hub.close();
    await net.pass(3_600_000);
    assert.deepEqual([request.isAborted, net.requests.length, states], [true, 1, ["open", "closed"]]);
  });
});
