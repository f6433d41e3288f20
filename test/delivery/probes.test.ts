import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DeliveryEvent } from "../../src/delivery/events.js";
import { bench } from "../support/hub.js";

describe("Probes: a notice that a connection is closed", () => {
  const KEEPALIVE_STEP_MS = 500;
  const HEARTBEAT_MS = 15_000;

  async function withReasons() {
    const reasons: [id: number, reason: string][] = [];
    const observe = (event: DeliveryEvent) => {
      if (event.type === "clientDisconnected") reasons.push([event.client.id, event.reason]);
    };
    return { ...(await bench({ observe })), reasons };
  }

  test("means by itself that the client has left", async () => {
    const { hub, server, connect, outlet, reasons } = await withReasons();
    connect(1);
    outlet.acknowledgeAll();
    assert.equal(hub.closed(server, 1), true);
    assert.equal(hub.closed(server, 1), false);
    assert.deepEqual(reasons, [[1, "left"]]);
  });

  test("before the fence behind a keep-alive means that it was found dead, for those that got one", async () => {
    const { hub, server, connect, outlet, clock, reasons } = await withReasons();
    for (let id = 1; id <= 100; id++) connect(id);
    outlet.acknowledgeAll();
    outlet.keptAlive.length = 0;
    clock.advance(KEEPALIVE_STEP_MS);
    const [asked = 0, other = 0] = outlet.keptAlive;
    assert.equal(outlet.keptAlive.length, 2);
    hub.closed(server, asked);
    hub.closed(server, 100);
    outlet.acknowledgeAll();
    hub.closed(server, other);
    assert.deepEqual(reasons, [
      [asked, "found dead"],
      [100, "left"],
      [other, "left"],
    ]);
  });

  test("before the fence behind a heartbeat, or behind an event after a quiet second, likewise", async () => {
    const { hub, server, connect, outlet, publish, clock, reasons } = await withReasons();
    for (const id of [1, 2, 3]) connect(id);
    outlet.acknowledgeAll();
    clock.advance(HEARTBEAT_MS * 1.25);
    hub.closed(server, 1);
    outlet.acknowledgeAll();
    publish("first after the silence");
    hub.closed(server, 2);
    outlet.acknowledgeAll();
    publish("soon after another");
    hub.closed(server, 3);
    assert.deepEqual(reasons, [
      [1, "found dead"],
      [2, "found dead"],
      [3, "left"],
    ]);
  });
});
