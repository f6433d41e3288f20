import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AgeIndex, STAMPS_TRUSTED_AFTER_MS } from "../../../src/storage/lmdb/age-index.js";

const DAY = 86_400_000;
const WALL = Date.UTC(2026, 0, 10);

describe("AgeIndex", () => {
  test("expires what is older than the maximum age, at most 1/256 of it late", () => {
    const ages = new AgeIndex(DAY, 0);
    for (let hour = 0; hour <= 48; hour++) ages.sample(hour, hour * 3_600_000);
    assert.equal(ages.expiredOffset(30 * 3_600_000, WALL), 5);
    assert.equal(ages.expiredOffset(48 * 3_600_000 + DAY / 256, WALL), 24);
  });

  test("the wall clock does not age what this process appended", () => {
    const ages = new AgeIndex(DAY, 0);
    ages.sample(1, 1000);
    for (const wall of [WALL, WALL + 365 * DAY, WALL - 365 * DAY]) assert.equal(ages.expiredOffset(3_600_000, wall), 0);
    assert.equal(ages.expiredOffset(1000 + DAY + 1, WALL - DAY), 1);
  });

  test("stamps of an earlier process count after a minute, by the clock as it is then", () => {
    const ages = new AgeIndex(DAY, 0);
    ages.addStored(1, WALL - 2 * DAY);
    ages.addStored(2, WALL - DAY / 2);
    assert.equal(ages.expiredOffset(0, WALL + 25 * 3_600_000), 0, "the clock may be wrong at the start");
    assert.equal(ages.expiredOffset(STAMPS_TRUSTED_AFTER_MS, WALL + STAMPS_TRUSTED_AFTER_MS), 1);
    assert.equal(ages.expiredOffset(DAY / 2 + 1000, WALL), 2);
  });

  test("a stamp in the future keeps nothing behind it", () => {
    const ages = new AgeIndex(DAY, 0);
    ages.addStored(1, WALL - 3 * DAY);
    ages.addStored(2, WALL + 365 * DAY);
    ages.addStored(3, WALL - 2 * DAY);
    ages.addStored(4, WALL + 365 * DAY);
    assert.equal(ages.expiredOffset(STAMPS_TRUSTED_AFTER_MS, WALL + STAMPS_TRUSTED_AFTER_MS), 3);
    assert.equal(ages.expiredOffset(DAY + 1000, WALL + DAY), 4, "as old as the start of this process at least");
  });

  test("remembers a bounded number of moments", () => {
    const ages = new AgeIndex(1000, 0);
    for (let now = 1; now <= 100_000; now++) {
      ages.sample(now, now);
      if (now % 100 === 0) assert.ok(ages.expiredOffset(now, WALL) >= now - 1000 - 5);
    }
  });
});
