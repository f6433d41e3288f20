/** What operators read: each problem has a code, the server that it is about, what happened, and what to do. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  controlProblem,
  privateProblem,
  secondDaemonProblem,
  silentProblem,
} from "../../src/mongrel2/link-conditions.js";
import { blocksReadiness } from "../../src/util/conditions.js";

describe("Problems of a Mongrel2", () => {
  test("each names its server and what to do", () => {
    for (const problem of [
      silentProblem("main", 5000, true),
      silentProblem("main", 5000, false),
      controlProblem("main", new Error("why")),
      privateProblem("main", true),
      privateProblem("main", false),
      secondDaemonProblem("main", true),
      secondDaemonProblem("main", false),
    ]) {
      assert.equal(problem.subject, "main");
      assert.ok(problem.message.length > 0 && problem.fix.length > 0, problem.code);
      assert.doesNotMatch(`${problem.message}${problem.fix}`, /undefined|\n/);
    }
  });

  test("a Mongrel2 that has answered and stands still is told from one that never did", () => {
    assert.match(silentProblem("main", 5000, true).message, /takes messages but does not answer/);
    assert.match(silentProblem("main", 5000, true).fix, /stopped or busy/);
    assert.match(silentProblem("main", 5000, false).fix, /send_spec and recv_spec/);
    assert.deepEqual(silentProblem("main", 5012.4, false).details, { milliseconds: 5012 });
    assert.ok(blocksReadiness(silentProblem("main", 5000, true).code));
  });

  test("a control port that does not answer costs streams only at a restart: the daemon is ready", () => {
    const { code, message, details } = controlProblem("main", new Error("ECONNREFUSED"));
    assert.match(message, /no stream would survive a restart/);
    assert.deepEqual(details, { why: "ECONNREFUSED" });
    assert.ok(!blocksReadiness(code));
    assert.deepEqual(controlProblem("main", "a text").details, { why: "a text" });
  });

  test("private events that are not served: the key is named where it is missing, else where to look", () => {
    assert.match(privateProblem("main", false).fix, /^set control = .* in \[\[mongrel2\]\]$/);
    assert.match(privateProblem("main", true).fix, /control port does not answer/);
  });

  test("a second daemon: the one that leaves and the one that stays say different things, and neither is ready", () => {
    assert.match(secondDaemonProblem("main", true).message, /was there first: this one stops serving/);
    assert.match(secondDaemonProblem("main", false).message, /each gets half of them/);
    for (const leaves of [true, false]) {
      const { code, fix } = secondDaemonProblem("main", leaves);
      assert.match(fix, /--shared/);
      assert.ok(blocksReadiness(code));
    }
  });
});
