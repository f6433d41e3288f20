import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../src/util/units.js";

const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

describe("Units", () => {
  test("every duration is printed in a form that reads back as the same number of milliseconds", () => {
    fc.assert(fc.property(count, (ms) => parseDuration(formatDuration(ms)) === ms));
  });

  test("every size is printed in a form that reads back as the same number of bytes", () => {
    fc.assert(fc.property(count, (bytes) => parseSize(formatSize(bytes)) === bytes));
  });

  test("a duration is a whole number and a unit", () => {
    const cases: [string, number][] = [
      ["250ms", 250],
      ["5s", 5_000],
      ["2m", 120_000],
      ["24h", 86_400_000],
      ["7d", 604_800_000],
      ["0", 0],
      ["0s", 0],
      ["007s", 7_000],
    ];
    for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
  });

  test("a size is a whole number and a unit of thousands or of 1024", () => {
    const cases: [string, number][] = [
      ["100B", 100],
      ["64kB", 64_000],
      ["256MB", 256_000_000],
      ["1GB", 1_000_000_000],
      ["64KiB", 65_536],
      ["256MiB", 268_435_456],
      ["1GiB", 1_073_741_824],
      ["0B", 0],
    ];
    for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text);
  });

  test("anything else is no duration", () => {
    const wrong = [
      "",
      "5",
      "5 s",
      " 5s",
      "5s ",
      "5sec",
      "5S",
      "1.5h",
      "-5s",
      "1m30s",
      "s",
      "constructor",
      "9007199254740992ms",
      "99999999999999999s",
    ];
    for (const text of wrong) assert.equal(parseDuration(text), undefined, text);
  });

  test("anything else is no size", () => {
    const wrong = ["", "0", "5", "5 MB", "5mb", "5KB", "5kb", "1.5GB", "-1B", "MB", "5TB", "5M", "9007199254740993B"];
    for (const text of wrong) assert.equal(parseSize(text), undefined, text);
  });

  test("the largest unit that divides is printed", () => {
    assert.equal(formatDuration(90_000), "90s");
    assert.equal(formatDuration(3_600_000), "1h");
    assert.equal(formatDuration(0), "0");
    assert.equal(formatSize(256_000_000), "256MB");
    assert.equal(formatSize(1_024), "1KiB");
  });

  test("a fraction of a millisecond is a programmer's error", () => {
    assert.throws(() => formatDuration(0.5), TypeError);
  });
});
