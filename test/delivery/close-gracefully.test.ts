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
    const random = () => fractions.shift() ?? assert.fail("more groups than expected");
    closeGracefully(outlet, ids, { retryMs: 1000, random, encode: (line) => line });
    const retryOf = (id: number) => Number(/^retry: ?(\d+)/.exec(outlet.received.get(id) ?? "")?.[1]);
    assert.deepEqual([0, 31, 32, 63, 64, 69].map(retryOf), [1000, 1000, 1250, 1250, 1500, 1500]);
    assert.deepEqual(outlet.closed, ids);
  });

  test("does nothing without streams", () => {
    const outlet = new RecordingOutlet(new FakeClock());
    closeGracefully(outlet, [], { retryMs: 1000, random: () => assert.fail("no group"), encode: (line) => line });
    assert.deepEqual([outlet.frames, outlet.closed], [0, []]);
  });
});
