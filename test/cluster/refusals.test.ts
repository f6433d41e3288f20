import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Refusals } from "../../src/cluster/refusals.js";
import { FakeClock } from "../support/clock.js";

function observed() {
  const clock = new FakeClock();
  const told: (string | undefined)[] = [];
  const state = { probes: 0, why: undefined as string | undefined };
  const refusals = new Refusals({
    clock,
    refused: (why) => told.push(why),
    probe: () => {
      state.probes++;
      return state.why === undefined ? Promise.resolve() : Promise.reject(new Error(state.why));
    },
  });
  return { clock, told, state, refusals };
}

const turnOver = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("Refusals", () => {
  test("are not told when they pass within two seconds", () => {
    const { clock, told, refusals } = observed();
    refusals.refused("no leader");
    clock.advance(1500);
    refusals.refused("no leader");
    refusals.stored();
    clock.advance(10_000);
    refusals.refused("no leader");
    assert.deepEqual([told, clock.waiting], [[], 0]);
  });

  test("are told when they last, and their end is found by a probe each second", async () => {
    const { clock, told, state, refusals } = observed();
    refusals.refused("full");
    clock.advance(2000);
    refusals.refused("full");
    state.why = "still full";
    clock.advance(1000);
    await turnOver();
    assert.deepEqual([told, state.probes], [["full", "still full"], 1]);
    state.why = undefined;
    clock.advance(1000);
    await turnOver();
    assert.deepEqual([told.at(-1), clock.waiting], [undefined, 0]);
    clock.advance(10_000);
    assert.equal(state.probes, 2);
  });

  test("end with a publication that is stored", () => {
    const { clock, told, refusals } = observed();
    refusals.refused("full");
    clock.advance(2000);
    refusals.refused("full");
    refusals.stored();
    refusals.stored();
    assert.deepEqual([told, clock.waiting], [["full", undefined], 0]);
  });
});
