/** The recent connections that the dashboard shows. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RecentConnections } from "../../../src/observability/admin/recent-connections.js";
import { FakeClock } from "../../support/clock.js";
import { interest, operated } from "./harness.js";

/** Clients with these topics. */
async function withClients(topics: readonly (readonly string[])[]) {
  const clock = new FakeClock();
  const recentConnections = new RecentConnections(clock);
  const { observe } = recentConnections;
  const { server, connect } = await operated();
  for (const [at, words] of topics.entries()) connect(at + 1, { interest: interest(words) });
  const come = (id: number) => {
    const client = server.clients.get(id);
    assert.ok(client);
    return client;
  };
  return { clock, recentConnections, observe, come };
}

describe("RecentConnections", () => {
  test("clients that connect, are adopted and disconnect are listed", async () => {
    const { recentConnections, observe, clock, come } = await withClients([["news"]]);
    observe({ type: "clientConnected", server: "main", client: come(1), clients: 1 });
    observe({ type: "clientAdopted", server: "main", client: come(1), clients: 1 });
    clock.advance(1500);
    observe({ type: "clientDisconnected", server: "main", client: come(1), reason: "kicked", clients: 0 });
    const of = { at: "", server: "main", client: 1, remote: "127.0.0.1", topics: ["news"] };
    const { connections: held, skipped } = recentConnections.after(0);
    assert.deepEqual(
      held.map((it) => ({ ...it, at: "", seconds: undefined })),
      [
        { ...of, event: "connect", clients: 1, seconds: undefined },
        { ...of, event: "adopt", clients: 1, seconds: undefined },
        { ...of, event: "disconnect", clients: 0, reason: "kicked", seconds: undefined },
      ],
    );
    assert.equal(skipped, 0);
    assert.equal(Date.parse(held[2]?.at ?? "") - Date.parse(held[0]?.at ?? ""), 1500);
  });

  test("the last fifty are held, and a reader of more gets the number of missing ones", async () => {
    const { recentConnections, observe, come } = await withClients([["news"]]);
    for (let count = 1; count <= 70; count++)
      observe({ type: "clientConnected", server: "main", client: come(1), clients: count });
    const clients = (count: number) => recentConnections.after(count).connections.map((it) => it.clients);
    assert.deepEqual([recentConnections.count, recentConnections.firstHeld], [70, 20]);
    assert.deepEqual(clients(68), [69, 70]);
    assert.deepEqual(clients(70), []);
    assert.deepEqual([clients(0).length, recentConnections.after(0).skipped], [50, 20]);
    assert.deepEqual([clients(20).length, recentConnections.after(20).skipped], [50, 0]);
  });

  test("of a client with many or long topics only the beginning is kept", async () => {
    const { recentConnections, observe, come } = await withClients([["a", "b", "c", "d", "e"], ["x".repeat(1000)]]);
    observe({ type: "clientConnected", server: "main", client: come(1), clients: 1 });
    observe({ type: "clientConnected", server: "main", client: come(2), clients: 2 });
    const [many, long] = recentConnections.after(0).connections;
    assert.deepEqual(many?.topics, ["a", "b", "c", "and 2 more"]);
    assert.deepEqual(long?.topics, [`${"x".repeat(80)}…`]);
  });

  test("an id names a place in the recentConnections of this process, and no other id does", async () => {
    const { recentConnections, observe, come } = await withClients([["a"]]);
    observe({ type: "clientConnected", server: "main", client: come(1), clients: 1 });
    const { id } = recentConnections;
    observe({ type: "clientConnected", server: "main", client: come(1), clients: 2 });
    assert.equal(recentConnections.countAt(id), 1);
    assert.equal(recentConnections.countAt(recentConnections.id), 2);
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
      assert.equal(recentConnections.countAt(other), undefined, other);
  });
});
