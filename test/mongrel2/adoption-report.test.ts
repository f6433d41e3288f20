import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DaemonEvent } from "../../src/hub/events.js";
import { reportAdoption } from "../../src/mongrel2/adoption-report.js";
import { Conditions } from "../../src/util/conditions.js";
import { FakeClock } from "../support/clock.js";

function setUp(timeoutMs = 60_000) {
  const events: DaemonEvent[] = [];
  const conditions = new Conditions(new FakeClock(), () => {});
  const report = reportAdoption({ name: "main", orphan_timeout: timeoutMs }, conditions, (event) => events.push(event));
  return { report, conditions, events };
}

describe("reportAdoption", () => {
  test("reports clients that are not decided as a condition, with their number, until there are none", () => {
    const { report, conditions } = setUp();
    report.undecided(0);
    assert.equal(conditions.active.length, 0);
    report.undecided(40);
    report.undecided(7);
    const [condition, ...more] = conditions.active;
    assert.deepEqual(more, []);
    assert.deepEqual(
      [condition?.code, condition?.subject, condition?.level, condition?.details],
      ["adoption_undecided", "main", "info", { clients: 7 }],
    );
    assert.match(condition?.message ?? "", /^7 streams of the previous process wait for the proof /);
    report.undecided(0);
    assert.equal(conditions.active.length, 0);
  });

  const OUTCOMES = [
    [5, 60_000, /^5 connections .*: m2push closes each after 60 s without a byte moving on it \(orphan_timeout\)$/],
    [5, 0, /^5 connections .*: m2push closes none of them, because orphan_timeout is 0$/],
    ["some", 60_000, /^some connections .*: without the control port m2push closes none of them$/],
  ] as const;
  for (const [connections, timeoutMs, message] of OUTCOMES) {
    test(`reports ${connections} unknown orphans with orphan_timeout ${timeoutMs}, and what becomes of them`, () => {
      const { report, conditions } = setUp(timeoutMs);
      report.orphansUnknown(connections, "another application has a route");
      const [condition] = conditions.active;
      assert.deepEqual([condition?.code, condition?.details], ["orphans_unknown", { connections }]);
      assert.match(condition?.message ?? "", message);
      assert.match(condition?.fix ?? "", /\(another application has a route\)/);
      report.orphansUnknown(0, "");
      assert.equal(conditions.active.length, 0);
    });
  }

  test("reports closed orphans as an event", () => {
    const { report, events } = setUp();
    report.orphansClosed(3, "exclusive");
    assert.deepEqual(events, [{ type: "orphansClosed", server: "main", connections: 3, rule: "exclusive" }]);
  });
});
