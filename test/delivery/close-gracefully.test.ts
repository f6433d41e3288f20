import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { closeGracefully } from "../../src/delivery/close-gracefully.js";
import { FakeClock } from "../support/clock.js";
import { RecordingOutlet } from "../support/outlet.js";

describe("closeGracefully", () => {
  test("spreads the reconnections over half the retry time in groups of 32, and closes every stream", () => {
    const outlet = new RecordingOutlet(new FakeClock());
    const ids = Array.from({ length: 70 }, (_, at) => at);
    const fractions = [0, 0.5, 1];
    closeGracefully(outlet, ids, 1000, () => fractions.shift() ?? assert.fail("more groups than expected"));
    const retryOf = (id: number) => Number(/^retry: ?(\d+)/.exec(outlet.received.get(id) ?? "")?.[1]);
    assert.deepEqual([0, 31, 32, 63, 64, 69].map(retryOf), [1000, 1000, 1250, 1250, 1500, 1500]);
    assert.deepEqual(outlet.closed, ids);
  });

  test("does nothing without streams", () => {
    const outlet = new RecordingOutlet(new FakeClock());
    closeGracefully(outlet, [], 1000, () => assert.fail("no group"));
    assert.deepEqual([outlet.frames, outlet.closed], [0, []]);
  });
});
