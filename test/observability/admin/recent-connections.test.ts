/** Who came and went, as far as it is held. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RecentConnections } from "../../../src/observability/admin/recent-connections.js";
import { FakeClock } from "../../support/clock.js";
import { interest, operated } from "./harness.js";

/** Visits of clients that come with these topics. */
async function visited(topics: readonly (readonly string[])[]) {
  const clock = new FakeClock();
  const visits = new RecentConnections(clock);
  const { observe } = visits;
  const { server, connect } = await operated();
  for (const [at, words] of topics.entries()) connect(at + 1, { interest: interest(words) });
  const come = (id: number) => {
    const client = server.clients.get(id);
    assert.ok(client);
    return client;
  };
  return { clock, visits, observe, come };
}

describe("RecentConnections", () => {
  test("who comes, is kept and goes is listed", async () => {
    const { visits, observe, clock, come } = await visited([["news"]]);
    observe({ type: "clientConnected", server: "main", client: come(1), clients: 1 });
    observe({ type: "clientAdopted", server: "main", client: come(1), clients: 1 });
    clock.advance(1500);
    observe({ type: "clientDisconnected", server: "main", client: come(1), reason: "kicked", clients: 0 });
    const of = { at: "", server: "main", client: 1, remote: "127.0.0.1", topics: ["news"] };
    const { connections: held, skipped } = visits.after(0);
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
  });

  test("the last fifty are held, and who asks for more is told how many are missing", async () => {
    const { visits, observe, come } = await visited([["news"]]);
    for (let count = 1; count <= 70; count++)
      observe({ type: "clientConnected", server: "main", client: come(1), clients: count });
    const clients = (count: number) => visits.after(count).connections.map((visit) => visit.clients);
    assert.deepEqual([visits.count, visits.firstHeld], [70, 20]);
    assert.deepEqual(clients(68), [69, 70]);
    assert.deepEqual(clients(70), []);
    assert.deepEqual([clients(0).length, visits.after(0).skipped], [50, 20]);
    assert.deepEqual([clients(20).length, visits.after(20).skipped], [50, 0]);
  });

  test("of a client with many or long topics only the beginning is kept", async () => {
    const { visits, observe, come } = await visited([["a", "b", "c", "d", "e"], ["x".repeat(1000)]]);
    observe({ type: "clientConnected", server: "main", client: come(1), clients: 1 });
    observe({ type: "clientConnected", server: "main", client: come(2), clients: 2 });
    const [many, long] = visits.after(0).connections;
    assert.deepEqual(many?.topics, ["a", "b", "c", "and 2 more"]);
    assert.deepEqual(long?.topics, [`${"x".repeat(80)}…`]);
  });

  test("an id names a place in the visits of this process, and no other id does", async () => {
    const { visits, observe, come } = await visited([["a"]]);
    observe({ type: "clientConnected", server: "main", client: come(1), clients: 1 });
    const { id } = visits;
    observe({ type: "clientConnected", server: "main", client: come(1), clients: 2 });
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
});
