import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Beacon } from "../../src/hub/beacon.js";
import type { Draft } from "../../src/protocol/publication.js";
import { FakeClock } from "../support/clock.js";

function setUp() {
  const clock = new FakeClock(Date.UTC(2011, 5, 1));
  const published: Draft[] = [];
  return { clock, published, beacon: new Beacon({ clock, publish: (draft) => published.push(draft) }) };
}

describe("Beacon", () => {
  test("the beacon tells the wall clock's time at its interval, to its topic, for everybody", () => {
    const { clock, published, beacon } = setUp();
    beacon.start({ interval: 5000, topic: "beacon" });
    clock.advance(4999);
    assert.deepEqual(published, []);
    clock.advance(5001);
    assert.deepEqual(published, [
      { topics: ["beacon"], data: "Timestamp 2011-06-01T00:00:05.000Z", private: false },
      { topics: ["beacon"], data: "Timestamp 2011-06-01T00:00:10.000Z", private: false },
    ]);
  });

  test("another start replaces the first; an interval of 0 is none, and after close none is left", () => {
    const { clock, published, beacon } = setUp();
    beacon.start({ interval: 5000, topic: "a" });
    beacon.start({ interval: 100, topic: "b" });
    clock.advance(250);
    assert.deepEqual(
      published.map(({ topics }) => topics[0]),
      ["b", "b"],
    );
    beacon.start({ interval: 0, topic: "a" });
    assert.equal(clock.waiting, 0);
    beacon.start({ interval: 100, topic: "a" });
    beacon.close();
    beacon.close();
    assert.equal(clock.waiting, 0);
  });
});
