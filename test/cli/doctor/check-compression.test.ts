import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkCompression } from "../../../src/cli/doctor/check-compression.js";
import { load } from "../../config/harness.js";

const KEY = '[auth]\npublisher_key = "a secret of more than thirty-two bytes, for tests"';
const levels = (compression: string, kind: "state" | "dictionary" = "state", more = "") =>
  checkCompression(load(`[stream]\ncompression = "${compression}"\n${more}`).config, kind).map(({ level, what }) => [
    level,
    what.slice(0, 30),
  ]);

describe("checkCompression", () => {
  test("says nothing where streams are plain", () => {
    assert.deepEqual(levels("off", "dictionary", KEY), []);
  });

  test("warns where this Node.js is slow, and where publishers could guess private events", () => {
    assert.deepEqual(levels("public", "state", KEY), [["ok", '[stream] compression = "public']]);
    assert.deepEqual(levels("public", "dictionary"), [["warn", "[stream] compression: this Nod"]]);
    assert.deepEqual(levels("all", "state", KEY), [
      ["ok", '[stream] compression = "all": '],
      ["warn", '[stream] compression = "all": '],
    ]);
    assert.equal(levels("all").length, 1, "nobody publishes over HTTP");
  });
});
