import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DaemonEvent } from "../../src/hub/events.js";
import { socketObserver } from "../../src/ingress/socket-observer.js";
import { Conditions } from "../../src/util/conditions.js";
import { FakeClock } from "../support/clock.js";

describe("socketObserver", () => {
  test("reports rejected peers and lost connections as events", () => {
    const events: DaemonEvent[] = [];
    const observer = socketObserver(
      "tcp://*:9997",
      new Conditions(new FakeClock(), () => assert.fail("no condition")),
      (it) => events.push(it),
    );
    const error = new Error("no PUSH socket");
    observer.refused(error as never, "192.0.2.1:5000");
    observer.broken(error as never);
    assert.deepEqual(events, [
      { type: "peerRejected", address: "tcp://*:9997", error, peer: "192.0.2.1:5000" },
      { type: "zmqConnectionLost", error },
    ]);
  });

  test("raises a condition while the socket accepts no connection", () => {
    const told: string[] = [];
    const conditions = new Conditions(new FakeClock(), ({ type, condition }) =>
      told.push(`${type} ${condition.code} ${condition.subject} ${condition.message}`),
    );
    const observer = socketObserver("tcp://*:9997", conditions, () => assert.fail("no event"));
    observer.failed({ what: "no file descriptors", fix: "raise the limit" } as never);
    observer.recovered();
    assert.deepEqual(told, [
      "conditionBegan overloaded tcp://*:9997 no file descriptors",
      "conditionEnded overloaded tcp://*:9997 no file descriptors",
    ]);
  });
});
