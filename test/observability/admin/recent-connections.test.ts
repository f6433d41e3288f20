/** Who came and went, as far as it is held. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { combineObservers } from "../../../src/hub/observers.js";
import { RecentConnections } from "../../../src/observability/admin/recent-connections.js";
import { LogObserver } from "../../../src/observability/log/log-observer.js";
import { openLog } from "../../../src/observability/log/logger.js";
import { MetricsObserver } from "../../../src/observability/metrics/metrics-observer.js";
import { FakeClock } from "../../support/clock.js";
import { interest, operated } from "./harness.js";

const rethrow = (error: unknown) => {
  throw error;
};

/** Visits of clients that come with these topics. */
async function visited(topics: readonly (readonly string[])[]) {
  const clock = new FakeClock();
  const visits = new RecentConnections(clock);
  const metrics = new MetricsObserver(clock);
  const journal = visits.beside(combineObservers(new LogObserver(openLog("silent"), clock), metrics, rethrow));
  const { server, connect } = await operated();
  for (const [at, words] of topics.entries()) connect(at + 1, { interest: interest(words) });
  const come = (id: number) => {
    const client = server.registry.clients.get(id);
    assert.ok(client);
    return client;
  };
  return { clock, visits, metrics, journal, come };
}

test("who comes, is kept and goes is told of, and so is the journal behind", async () => {
  const { visits, journal, metrics, clock, come } = await visited([["news"]]);
  journal.connected("main", come(1), 1);
  journal.adopted("main", come(1), 1);
  clock.advance(1500);
  journal.disconnected("main", come(1), "kicked", 0);
  const of = { at: "", server: "main", client: 1, remote: "127.0.0.1", topics: ["news"] };
  const { visits: held, skipped } = visits.after(0);
  assert.deepEqual(
    held.map((visit) => ({ ...visit, at: "", seconds: undefined })),
    [
      { ...of, event: "connect", clients: 1, seconds: undefined },
      { ...of, event: "adopt", clients: 1, seconds: undefined },
      { ...of, event: "disconnect", clients: 0, reason: "kicked", seconds: undefined },
    ],
  );
  assert.equal(skipped, 0);
  assert.equal(Date.parse(held[2]?.at ?? "") - Date.parse(held[0]?.at ?? ""), 1500);
  const { connects, adoptions, disconnects } = metrics.server("main");
  assert.deepEqual([connects, adoptions, disconnects], [1, 1, 1]);
});

test("the last fifty are held, and who asks for more is told how many are missing", async () => {
  const { visits, journal, come } = await visited([["news"]]);
  for (let count = 1; count <= 70; count++) journal.connected("main", come(1), count);
  const clients = (count: number) => visits.after(count).visits.map((visit) => visit.clients);
  assert.deepEqual([visits.count, visits.forgotten], [70, 20]);
  assert.deepEqual(clients(68), [69, 70]);
  assert.deepEqual(clients(70), []);
  assert.deepEqual([clients(0).length, visits.after(0).skipped], [50, 20]);
  assert.deepEqual([clients(20).length, visits.after(20).skipped], [50, 0]);
});

test("of a client with many or long topics only the beginning is kept", async () => {
  const { visits, journal, come } = await visited([["a", "b", "c", "d", "e"], ["x".repeat(1000)]]);
  journal.connected("main", come(1), 1);
  journal.connected("main", come(2), 2);
  const [many, long] = visits.after(0).visits;
  assert.deepEqual(many?.topics, ["a", "b", "c", "and 2 more"]);
  assert.deepEqual(long?.topics, [`${"x".repeat(80)}…`]);
});

test("an id names a place in the visits of this process, and no other id does", async () => {
  const { visits, journal, come } = await visited([["a"]]);
  journal.connected("main", come(1), 1);
  const { id } = visits;
  journal.connected("main", come(1), 2);
  assert.equal(visits.countAt(id), 1);
  assert.equal(visits.countAt(visits.id), 2);
  const [instance] = id.split(".");
  for (const other of [
    "",
    "1",
    "x.1",
    `${instance}.3`,
    `${instance}.-1`,
    `${instance}.1e0`,
    `${instance}.`,
    new RecentConnections(new FakeClock()).id,
  ])
    assert.equal(visits.countAt(other), undefined, other);
});
