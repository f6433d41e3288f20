import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CatchupGroup } from "../../src/delivery/catchup-groups.js";
import { furthestBehind, MAX_SCANNED_GROUP_COUNT } from "../../src/delivery/furthest-behind.js";
import { positionId } from "../../src/protocol/position.js";
import { bench } from "../support/hub.js";

describe("The clients that are furthest behind", () => {
  test("are those that catch up, the one with the oldest position first, with the events that they lack", async () => {
    const { server, history, connect, publish } = await bench();
    for (let at = 1; at <= 9; at++) publish(`${at}`);
    connect(1);
    // Without credit they stay where they are.
    for (const [id, offset] of [
      [2, 7],
      [3, 2],
      [4, 5],
    ] as const)
      connect(id, { lastEventId: positionId(history.epoch, offset), creditLimit: 10 });
    const behind = server.furthestBehind(2).map((client) => [client.id, server.eventsBehind(client)]);
    assert.deepEqual(behind, [
      [3, 7],
      [4, 4],
    ]);
    assert.equal(server.figures.maxBehindEvents, 7);
  });

  test("are counted when they fall behind because they read too slowly", async () => {
    const events: unknown[] = [];
    const { server, outlet, connect, publish } = await bench({
      observe: (event) => void (event.type === "clientsFellBehind" && events.push(event)),
    });
    connect(1, { creditLimit: 10 });
    connect(2, { creditLimit: 1_000_000 });
    outlet.acknowledgeAll();
    publish("more than ten bytes");
    assert.deepEqual(events, [{ type: "clientsFellBehind", server: "main", reason: "no credit", clients: 1 }]);
    assert.equal(server.figures.maxBehindEvents, 1);
  });

  test("are counted when Mongrel2 takes less than is published", async () => {
    const events: unknown[] = [];
    const { connect, publish } = await bench({
      observe: (event) => void (event.type === "clientsFellBehind" && events.push(event)),
    });
    connect(1);
    connect(2, { creditLimit: 1_000_000 });
    const data = "x".repeat(90_000);
    for (let at = 0; at < 80; at++) publish(data);
    assert.deepEqual(events, [{ type: "clientsFellBehind", server: "main", reason: "queue full", clients: 2 }]);
  });

  test("do not include more groups than may be looked at", () => {
    const group = (cursor: number): CatchupGroup =>
      ({ cursor, selecting: undefined, clients: new Set([{ id: cursor }]) }) as unknown as CatchupGroup;
    const groups = Array.from({ length: MAX_SCANNED_GROUP_COUNT + 1 }, (_, at) =>
      group(MAX_SCANNED_GROUP_COUNT + 1 - at),
    );
    assert.deepEqual(
      furthestBehind(groups, 2).map(({ id }) => id),
      [2, 3],
    );
  });
});
