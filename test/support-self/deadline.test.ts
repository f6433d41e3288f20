import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Changes, within } from "../support/deadline.js";

describe("Deadline of the test support", () => {
  test("within hands through a value and an error", async () => {
    assert.equal(await within(1_000, Promise.resolve(7), "a number"), 7);
    await assert.rejects(within(1_000, Promise.reject(new Error("no")), "a number"), /^Error: no$/);
  });

  test("within() names what it waited for", async () => {
    await assert.rejects(within(1, new Promise(() => {}), "the moon"), /waited 1 ms for the moon/);
  });

  test("a state that is there already needs no change", async () => {
    assert.equal(await new Changes().until(() => "there", "it"), "there");
  });

  test("checks every waiting condition at each change, until it holds", async () => {
    const changes = new Changes();
    let state = 0;
    const two = changes.until(() => state >= 2 && `two at ${state}`, "2");
    const three = changes.until(() => state >= 3 && `three at ${state}`, "3");
    for (state = 1; state < 4; state++) changes.tell();
    assert.deepEqual(await Promise.all([two, three]), ["two at 2", "three at 3"]);
  });

  test("a look that throws ends the wait with that error", async () => {
    const changes = new Changes();
    let broken = false;
    const wait = changes.until(() => {
      if (broken) throw new Error("ended");
      return undefined;
    }, "it");
    broken = true;
    changes.tell();
    await assert.rejects(wait, /^Error: ended$/);
  });

  test("a wait that is too long names what was wanted and what there was", async () => {
    await assert.rejects(
      new Changes().until(
        () => undefined,
        "a state",
        1,
        () => ", found another",
      ),
      /waited 1 ms for a state, found another/,
    );
  });
});
