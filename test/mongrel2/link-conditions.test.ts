/** What operators read: each problem has a code, the server that it is about, what happened, and what to do. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  controlCondition,
  privateCondition,
  secondDaemonCondition,
  silentCondition,
} from "../../src/mongrel2/link-conditions.js";
import { blocksReadiness } from "../../src/util/conditions.js";

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

  test("a Mongrel2 that has answered and stands still is told from one that never did", () => {
    assert.match(silentCondition("main", 5000, true).message, /takes messages but does not answer/);
    assert.match(silentCondition("main", 5000, true).fix, /stopped or busy/);
    assert.match(silentCondition("main", 5000, false).fix, /send_spec and recv_spec/);
    assert.deepEqual(silentCondition("main", 5012.4, false).details, { milliseconds: 5012 });
    assert.ok(blocksReadiness(silentCondition("main", 5000, true).code));
  });

  test("a control port that does not answer costs streams only at a restart: the daemon is ready", () => {
    const { code, message, details } = controlCondition("main", new Error("ECONNREFUSED"));
    assert.match(message, /a restart of m2push would close all streams/);
    assert.deepEqual(details, { reason: "ECONNREFUSED" });
    assert.ok(!blocksReadiness(code));
    assert.deepEqual(controlCondition("main", "a text").details, { reason: "a text" });
  });

  test("private events that are not served: the key is named where it is missing, else where to look", () => {
    assert.match(privateCondition("main", false).fix, /^set control = .* in \[\[mongrel2\]\]$/);
    assert.match(privateCondition("main", true).fix, /control port does not answer/);
  });

  test("a second daemon: the one that leaves and the one that stays say different things, and neither is ready", () => {
    assert.match(secondDaemonCondition("main", true).message, /and started first: this one stops serving/);
    assert.match(secondDaemonCondition("main", false).message, /each gets half of them/);
    for (const leaves of [true, false]) {
      const { code, fix } = secondDaemonCondition("main", leaves);
      assert.match(fix, /--shared/);
      assert.ok(blocksReadiness(code));
    }
  });
});
