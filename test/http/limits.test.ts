/** [stream] max_clients and max_per_address hold whatever happens between a request and its stream. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { openStream } from "../support/hub.js";
import { everything, HUB, tokenV0, Web } from "./harness.js";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const CONFIG = "[stream]\nmax_clients = 5\nmax_per_address = 3";

const statuses = async (web: Web, ids: readonly number[]): Promise<number[]> => {
  const answers = await Promise.all(ids.map((id) => web.until(id, 1)));
  return answers.map(([answer]) => answer?.status ?? 0);
};
const count = (list: readonly number[], status: number) => list.filter((it) => it === status).length;

/** Look-ups of last event ids that wait until they are answered. */
function slowHistory(web: Web) {
  const waiting: (() => void)[] = [];
  web.history.find = () => new Promise((resolve) => waiting.push(() => resolve(undefined)));
  return waiting;
}

/** Lets what was begun with a token go on until it waits for something else. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe("Limits of clients", () => {
  for (const [what, token] of [
    ["the same token", async () => everything()],
    ["a token each", async (at: number) => tokenV0({ subscribe: ["*"] }, { jti: `${at}` })],
  ] as const) {
    test(`60 requests at a time with ${what}: exactly as many as may get in`, async () => {
      const web = await Web.open({ config: CONFIG });
      const tokens = await Promise.all(Array.from({ length: 60 }, (_, at) => token(at)));
      const send = (one: string, at: number) => {
        return web.send(HUB, { query: "topic=x", headers: bearer(one), remote: at % 2 ? "192.0.2.1" : "192.0.2.2" });
      };
      const got = await statuses(web, tokens.map(send));
      assert.deepEqual([count(got, 200), web.hub.clients], [5, 5]);
      for (const remote of ["192.0.2.1", "192.0.2.2"]) assert.ok(web.hub.countOf(remote) <= 3);
      assert.equal(count(got, 503) + count(got, 429), 55);
    });
  }

  test("they hold while the history is asked for last event ids, and count each client once", async () => {
    const web = await Web.open({ config: CONFIG });
    const waiting = slowHistory(web);
    const asks = (at: number) => web.send(HUB, { query: "topic=x&lastEventID=unknown", remote: `192.0.2.${at}` });
    const ids = Array.from({ length: 20 }, (_, at) => asks(at));
    for (const answer of waiting.reverse()) answer();
    const got = await statuses(web, ids);
    assert.deepEqual([count(got, 200), count(got, 503), web.hub.clients], [5, 15, 5]);
  });

  test("an address has its limit over all servers", async () => {
    const web = await Web.open({ config: CONFIG });
    const other = web.hub.serveMongrel2("other", web.outlet, web.config.stream);
    for (const server of [web.server, other]) {
      for (let at = 0; at < 3; at++) {
        const interest = { selectors: [{ kind: "any" } as const], grants: [] };
        openStream(web.hub, server, { id: 1000 + at, remote: "203.0.113.9", interest });
      }
    }
    assert.equal(web.hub.countOf("203.0.113.9"), 6);
    assert.deepEqual(await statuses(web, [web.send(HUB, { query: "topic=x" })]), [503]);
  });

  test("a connection that ends while its token is checked, or the history is asked, opens no stream", async () => {
    const web = await Web.open({ config: CONFIG });
    const early = web.send(HUB, { query: "topic=x", headers: bearer(await everything()) });
    web.hub.leave(web.server, early, "left");
    const waiting = slowHistory(web);
    const late = web.send(HUB, { query: "topic=x&lastEventID=unknown" });
    const both = web.send(HUB, { query: "topic=x&lastEventID=unknown", headers: bearer(await everything()) });
    await nextTurn();
    web.hub.leave(web.server, late, "left");
    web.hub.leave(web.server, both, "left");
    for (const answer of waiting) answer();
    await nextTurn();
    assert.deepEqual([web.hub.clients, web.server.figures.pending], [0, 0]);
    for (const id of [early, late, both]) assert.deepEqual(web.responses(id), []);
  });

  test("under any interleaving of requests, answers and ends no limit is passed, and places become free again", async () => {
    const step = fc.record({
      what: fc.constantFrom("anonymous", "token", "slow", "answer", "end", "turn"),
      at: fc.nat(20),
    });
    const token = await everything();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const web = await Web.open({ config: CONFIG });
        const waiting = slowHistory(web);
        const ids: number[] = [];
        for (const { what, at } of steps) {
          const remote = `192.0.2.${at % 3}`;
          const headers = what === "token" ? bearer(token) : {};
          const query = what === "slow" ? "topic=x&lastEventID=unknown" : "topic=x";
          if (what === "turn") await nextTurn();
          else if (what === "answer") waiting.splice(at % (waiting.length + 1), 1)[0]?.();
          else if (what === "end") web.hub.leave(web.server, ids[at % ids.length] ?? 0, "left");
          else ids.push(web.send(HUB, { query, headers, remote }));
          assert.ok(web.hub.clients <= 5 && web.hub.countOf(remote) <= 3);
        }
        for (const answer of waiting) answer();
        await nextTurn();
        assert.ok(web.hub.clients <= 5);
        for (const id of ids) web.hub.leave(web.server, id, "left");
        assert.deepEqual([web.hub.clients, web.hub.countOf("192.0.2.1"), web.server.figures.pending], [0, 0, 0]);
        assert.deepEqual(await statuses(web, [web.send(HUB, { query: "topic=x" })]), [200]);
      }),
      { numRuns: 50 },
    );
  });
});
