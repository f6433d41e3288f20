import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { packageVersion } from "../../src/util/package-version.js";
import { PROJECT } from "../support/processes.js";

describe("packageVersion", () => {
  test("the version is that of package.json, from wherever the program runs", () => {
    const { version } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8"));
    const before = process.cwd();
    try {
      process.chdir("/");
      assert.equal(packageVersion(), version);
    } finally {
      process.chdir(before);
    }
  });
});
