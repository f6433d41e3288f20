/** latest, last and since in the address of a stream: the plain one and both dialects of the hub. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HUB, tokenV0, Web } from "./harness.js";

/** Addresses that ask for the topics a and b. */
const ADDRESSES = [
  ["/esupdates", "topic=a&topic=b"],
  [HUB, "topic=a&topic=b"],
  [HUB, "match=a&match=b"],
] as const;

/** A hub with six events, one a second: a1 b2 a3 c4 b5, and a private a6. */
async function openWeb() {
  const web = await Web.open();
  for (const event of ["a1", "b2", "a3", "c4", "b5", "a6"]) {
    await web.post(`topic=${event[0]}&data=${event}${event === "a6" ? "&private=on" : ""}`);
    web.clock.advance(1000);
  }
  /** The events that a stream begins with. */
  const events = async (path: string, query: string, headers: Record<string, string> = {}) => {
    const id = web.send(path, { query, headers });
    do {
      web.events(id);
      await new Promise(setImmediate);
    } while (!/^id: /m.test(web.outlet.received.get(id) ?? "") || web.server.figures.behind > 0);
    return web.events(id);
  };
  return { web, events };
}

describe("State at once in an address", () => {
  test("latest is the newest event of each topic, last the newest of all, since those of a time", async () => {
    const { web, events } = await openWeb();
    const now = web.clock.now();
    const time = (ago: number) => encodeURIComponent(new Date(now - ago).toISOString());
    for (const [path, query] of ADDRESSES) {
      const ask = (state: string) => events(path, `${query}&${state}`);
      assert.deepEqual(await ask("latest=1"), ["a3", "b5"]);
      assert.deepEqual(await ask("last=1"), ["b5"]);
      assert.deepEqual(await ask("last=3"), ["b2", "a3", "b5"]);
      assert.deepEqual(await ask("last=99"), ["a1", "b2", "a3", "b5"]);
      assert.deepEqual(await ask("since=4s"), ["a3", "b5"]);
      assert.deepEqual(await ask("since=1h"), ["a1", "b2", "a3", "b5"]);
      assert.deepEqual(await ask(`since=${time(4000)}`), ["a3", "b5"]);
      assert.deepEqual(await ask(`since=${time(3999)}`), ["b5"]);
      assert.deepEqual(await ask("since=0"), []);
      assert.deepEqual(await ask("since=2999-01-01T00:00:00Z"), []);
    }
    assert.deepEqual(await events("/esupdates", "last=2"), ["c4", "b5"]);
    assert.deepEqual(await events("/esupdates", "latest=1"), ["a3", "c4", "b5"]);
  });

  test("private events count for those who may see them", async () => {
    const { events } = await openWeb();
    const token = await tokenV0({ subscribe: ["a"] });
    const headers = { authorization: `Bearer ${token}` };
    assert.deepEqual(await events(HUB, "topic=a&topic=b&latest=1", headers), ["b5", "a6"]);
    assert.deepEqual(await events(HUB, "topic=a&topic=b&last=2", headers), ["b5", "a6"]);
    assert.deepEqual(await events(HUB, "topic=a&topic=b&since=1s", headers), ["a6"]);
  });

  test("the stream has no position before the state, and one after it; live events follow", async () => {
    const { web, events } = await openWeb();
    const { epoch } = web.history;
    const headers = { accept: "text/event-stream", "user-agent": "node" };
    await events("/esupdates", "topic=a&latest=1", headers);
    const text = web.outlet.received.get([...web.outlet.received.keys()].at(-1) ?? 0) ?? "";
    const [, stream] = text.split("\r\n\r\n");
    assert.equal(
      stream,
      `: time stream\nretry: 5000\nid: #${epoch}.3\ndata: a3\n\nevent: m2push-open\nid: #${epoch}.6\ndata: {}\n\n`,
    );
    const id = web.send("/esupdates", { query: "topic=a&latest=1" });
    await web.post("topic=a&data=a7");
    assert.deepEqual(web.events(id), ["a3", "a7"]);
  });

  test("a last event id wins, in the header or the address, empty or not", async () => {
    const { web, events } = await openWeb();
    const own = (offset: number) => `#${web.history.epoch}.${offset}`;
    for (const state of ["latest=1", "last=1", "since=1h"]) {
      const query = `topic=a&topic=b&${state}`;
      assert.deepEqual(await events(HUB, query, { "last-event-id": own(2) }), ["a3", "b5"]);
      assert.deepEqual(await events(HUB, `${query}&lastEventID=${encodeURIComponent(own(3))}`), ["b5"]);
      assert.deepEqual(await events(HUB, `${query}&lastEventID=earliest`), ["a1", "b2", "a3", "b5"]);
      const [gap] = await events(HUB, `${query}&lastEventID=`);
      assert.match(gap ?? "", /"reason":"unknown"/);
    }
  });

  test("a bad value and a contradiction are 400, with the valid ones; other parameters are ignored", async () => {
    const { web, events } = await openWeb();
    const bad: readonly (readonly [query: string, valid: RegExp])[] = [
      ["latest=", /latest=1/],
      ["latest=0", /latest=1/],
      ["latest=true", /latest=1/],
      ["last=", /last=20/],
      ["last=0", /from 1 to 999999999/],
      ["last=-1", /last=20/],
      ["last=1.5", /last=20/],
      ["last=1e3", /last=20/],
      ["last=9999999999", /last=20/],
      ["since=", /since=10m/],
      ["since=10", /since=10m/],
      ["since=10min", /since=10m/],
      ["since=yesterday", /RFC 3339/],
      ["since=2026-13-01T00:00:00Z", /RFC 3339/],
      ["since=2026-12-01", /RFC 3339/],
      ["since=2026-12-01T00:00:00", /RFC 3339/],
      ["latest=1&last=2", /latest, last contradict/],
      ["last=2&since=1h", /one of latest=1, last=N, since=TIME/],
      ["last=2&last=3", /last, last contradict/],
    ];
    for (const [path, query] of ADDRESSES) {
      for (const [state, valid] of bad) {
        const { status, body } = await web.get(path, { query: `${query}&${state}` });
        assert.deepEqual([status, valid.test(body)], [400, true], `${path}?${state}: ${body}`);
      }
      assert.deepEqual(await events(path, `${query}&Latest=1&LAST=x&v=17&since_=1`), []);
    }
    assert.deepEqual(await events("/esupdates", "topic=a&since=2026-01-01T02:00:00+02:00"), ["a1", "a3"]);
  });

  test("a history that forgets gives what it has", async () => {
    const web = await Web.open();
    for (let event = 1; event <= 1100; event++)
      await web.hub.publish({ topics: ["a"], data: `${event}`, private: false });
    const id = web.send("/esupdates", { query: "topic=a&since=1h" });
    for (let turn = 0; turn < 50; turn++) {
      web.events(id);
      await new Promise(setImmediate);
    }
    const data = web.events(id);
    assert.deepEqual([data.length, data[0], data.at(-1)], [1000, "101", "1100"]);
  });
});
