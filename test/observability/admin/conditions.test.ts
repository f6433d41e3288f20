/** What each standing problem looks like wherever an operator looks, from one report of it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { asTable } from "../../../src/cli/status-command.js";
import type { Status } from "../../../src/observability/admin/status.js";
import { LogObserver } from "../../../src/observability/log/log-observer.js";
import { CONDITION_TYPES, type ConditionCode, Conditions } from "../../../src/util/conditions.js";
import { FakeClock } from "../../support/clock.js";
import { recordedLog } from "../../support/log.js";
import { admin, snapshotOf } from "../metrics/harness.js";
import { sampleOf } from "../metrics/lint.js";

function daemon() {
  const clock = new FakeClock();
  const { log, lines } = recordedLog("info");
  const conditions = new Conditions(clock, new LogObserver(log, clock).observe);
  const now = () => snapshotOf({ conditions: conditions.active });
  const { routes: table } = admin(now);
  const get = async (path: string) => {
    const answer = await table
      .get(path)
      ?.GET?.({ params: {}, query: new URLSearchParams(), lastEventId: undefined, isOperator: false });
    assert.ok(answer && typeof answer.body === "string");
    return { status: answer.status, body: answer.body };
  };
  return { clock, conditions, lines, get };
}

for (const code of Object.keys(CONDITION_TYPES) as ConditionCode[]) {
  describe(`The standing problem ${code}`, () => {
    test("is in the log, /readyz, /status, m2push status and the metrics from its beginning to its end", async () => {
      const { clock, conditions, lines, get } = daemon();
      const blocks = CONDITION_TYPES[code].blocksReadiness;
      const metric = async () => sampleOf((await get("/metrics")).body, "m2push_condition", { code, subject: "main" });
      conditions.begin({ code, subject: "main", message: "it broke", fix: "fix it", details: { count: 3 } });

      const { time: _, ...began } = lines[0] ?? assert.fail("no line");
      const level = blocks ? "error" : "warn";
      const told = { event: "condition_began", code, subject: "main", count: 3, fix: "fix it", msg: "it broke" };
      assert.deepEqual(began, { level, ...told });
      const ready = await get("/readyz");
      assert.deepEqual(
        ready,
        blocks ? { status: 503, body: "main: it broke; fix: fix it\n" } : { status: 200, body: "ready\n" },
      );
      const status = JSON.parse((await get("/status")).body) as Status;
      assert.deepEqual([status.ready, status.conditions.map((it) => it.code)], [!blocks, [code]]);
      const line = `${blocks ? "!" : "-"} main: it broke; fix: fix it`;
      assert.ok(asTable(status, 0).split("\n").includes(line), asTable(status, 0));
      assert.equal(await metric(), 1);

      clock.advance(2500);
      conditions.end(code, "main");
      const { event, seconds, level: endLevel } = lines[1] ?? assert.fail("no second line");
      assert.deepEqual([event, seconds, endLevel], ["condition_ended", 2.5, "info"]);
      assert.equal((await get("/readyz")).status, 200);
      assert.deepEqual((JSON.parse((await get("/status")).body) as Status).conditions, []);
      assert.equal(await metric(), undefined);
    });
  });
}
