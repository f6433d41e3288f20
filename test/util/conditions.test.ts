import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Condition, Conditions } from "../../src/util/conditions.js";
import { FakeClock } from "../support/clock.js";

function observed() {
  const clock = new FakeClock();
  const told: string[] = [];
  const conditions = new Conditions(clock, (event) => {
    const { code, subject } = event.condition;
    if (event.type === "conditionBegan") told.push(`began ${code} ${subject}`);
    else told.push(`ended ${code} ${subject} ${event.milliseconds}`);
  });
  return { clock, conditions, told };
}

const full: Condition = {
  code: "storage_failing",
  subject: "",
  message: "the disk is full",
  fix: "free space",
};

describe("Conditions", () => {
  test("reports a problem once when it begins and once when it ends", () => {
    const { clock, conditions, told } = observed();
    conditions.begin(full);
    clock.advance(1000);
    conditions.begin(full);
    clock.advance(500);
    conditions.end("storage_failing", "");
    conditions.end("storage_failing", "");
    assert.deepEqual(told, ["began storage_failing ", "ended storage_failing  1500"]);
    assert.deepEqual(conditions.active, []);
  });

  test("renews the message of a problem that lasts, and keeps when it began", () => {
    const { clock, conditions } = observed();
    conditions.begin(full);
    const [first] = conditions.active;
    clock.advance(1000);
    conditions.begin({ ...full, message: "the quota is used up" });
    const [second] = conditions.active;
    assert.equal(second?.message, "the quota is used up");
    assert.equal(second?.since, first?.since);
  });

  test("distinguishes problems of two servers", () => {
    const { conditions } = observed();
    for (const subject of ["a", "b"]) conditions.begin({ ...full, code: "link_failed", subject });
    conditions.end("link_failed", "a");
    assert.equal(conditions.has("link_failed", "a"), false);
    assert.deepEqual(
      conditions.active.map(({ subject }) => subject),
      ["b"],
    );
  });
});
