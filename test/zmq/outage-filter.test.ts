/** One report for a failure that lasts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { OutageFilter } from "../../src/zmq/outage-filter.js";
import { FakeClock } from "../support/clock.js";

function setUp() {
  const clock = new FakeClock();
  return { clock, filter: new OutageFilter(clock) };
}

describe("OutageFilter", () => {
  test("reports a failure once, and again when its kind changes", () => {
    const { filter } = setUp();
    const reports = ["EACCES", "EACCES", "ENOTFOUND", "ENOTFOUND", "EACCES"].map((code) => filter.shouldReport(code));
    assert.deepEqual(reports, [true, false, true, false, true]);
  });

  for (const code of ["ECONNREFUSED", "ENOENT", "ECONNRESET"]) {
    test(`reports ${code} of a peer that restarts only after 1 s`, () => {
      const { clock, filter } = setUp();
      assert.equal(filter.shouldReport(code), false);
      clock.advance(999);
      assert.equal(filter.shouldReport(code), false);
      clock.advance(1);
      assert.equal(filter.shouldReport(code), true);
      assert.equal(filter.shouldReport(code), false);
    });
  }

  test("recovered() returns whether the failure was reported, and starts the next outage", () => {
    const { clock, filter } = setUp();
    assert.equal(filter.recovered(), false);
    filter.shouldReport("ECONNREFUSED");
    assert.equal(filter.recovered(), false, "a short outage is not reported");
    filter.shouldReport("EACCES");
    assert.equal(filter.recovered(), true);
    assert.equal(filter.recovered(), false);
    clock.advance(5000);
    assert.equal(filter.shouldReport("ECONNREFUSED"), false, "the 1 s starts again");
    assert.equal(filter.shouldReport("EACCES"), true);
  });
});
