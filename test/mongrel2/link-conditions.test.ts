/** What operators read: each problem has a code, the server that it is about, what happened, and what to do. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  controlCondition,
  privateCondition,
  secondDaemonCondition,
  silentCondition,
} from "../../src/mongrel2/link-conditions.js";
import { conditionTexts } from "../../src/util/condition-texts.js";
import { blocksReadiness, type Condition } from "../../src/util/conditions.js";

const textOf = ({ message, fix }: Condition) => ({ message, fix });

describe("Link conditions", () => {
  test("each names its server and what to do", () => {
    for (const problem of [
      silentCondition("main", 5000, true),
      silentCondition("main", 5000, false),
      controlCondition("main", new Error("why")),
      privateCondition("main", true),
      privateCondition("main", false),
      secondDaemonCondition("main", true),
      secondDaemonCondition("main", false),
    ]) {
      assert.equal(problem.subject, "main");
      assert.ok(problem.message.length > 0 && problem.fix.length > 0, problem.code);
      assert.doesNotMatch(`${problem.message}${problem.fix}`, /undefined|\n/);
    }
  });

  test("a Mongrel2 that has answered and stands still differs from one that never answered", () => {
    const [silent, absent] = [silentCondition("main", 5000, true), silentCondition("main", 5012.4, false)];
    assert.deepEqual(textOf(silent), conditionTexts.silent());
    assert.deepEqual(textOf(absent), conditionTexts.neverAnswered());
    assert.deepEqual(absent.details, { milliseconds: 5012 });
    assert.ok(blocksReadiness(silent.code));
  });

  test("a control port that does not answer costs streams only at a restart: the daemon is ready", () => {
    const condition = controlCondition("main", new Error("ECONNREFUSED"));
    assert.deepEqual(textOf(condition), conditionTexts.controlUnreachable());
    assert.deepEqual(condition.details, { reason: "ECONNREFUSED" });
    assert.ok(!blocksReadiness(condition.code));
    assert.deepEqual(controlCondition("main", "a text").details, { reason: "a text" });
  });

  test("private events that are not served: the fix names the key only where it is missing", () => {
    assert.match(privateCondition("main", false).fix, /\[\[mongrel2\]\]/);
    assert.doesNotMatch(privateCondition("main", true).fix, /\[\[mongrel2\]\]/);
  });

  test("the daemon that leaves and the one that stays report different texts, and neither is ready", () => {
    assert.deepEqual(textOf(secondDaemonCondition("main", true)), conditionTexts.secondDaemonLeaves());
    assert.deepEqual(textOf(secondDaemonCondition("main", false)), conditionTexts.secondDaemonStays());
    assert.ok(blocksReadiness(secondDaemonCondition("main", true).code));
  });
});
