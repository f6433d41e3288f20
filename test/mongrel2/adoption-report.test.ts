import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DaemonEvent } from "../../src/hub/events.js";
import { reportAdoption } from "../../src/mongrel2/adoption-report.js";
import { conditionTexts } from "../../src/util/condition-texts.js";
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
    const { message, fix } = conditionTexts.adoptionUndecided(7);
    assert.deepEqual([condition?.message, condition?.fix], [message, fix]);
    report.undecided(0);
    assert.equal(conditions.active.length, 0);
  });

  const OUTCOMES = [
    [5, 60_000, /after 60 s/],
    [5, 0, /none of them, because/],
    ["some", 60_000, /none of them$/],
  ] as const;
  for (const [connections, timeoutMs, outcome] of OUTCOMES) {
    test(`reports ${connections} unknown orphans with orphan_timeout ${timeoutMs}, and what becomes of them`, () => {
      const { report, conditions } = setUp(timeoutMs);
      report.orphansUnknown(connections, "another application has a route");
      const [condition] = conditions.active;
      assert.deepEqual([condition?.code, condition?.details], ["orphans_unknown", { connections }]);
      assert.match(condition?.message ?? "", outcome);
      const { message, fix } = conditionTexts.orphansUnknown(connections, timeoutMs, "another application has a route");
      assert.deepEqual([condition?.message, condition?.fix], [message, fix]);
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
