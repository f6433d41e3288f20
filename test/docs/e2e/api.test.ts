/** docs/api is what typedoc generates from src/index.ts. It reads all types of the program, which takes seconds. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { PROJECT, removeDirectory, run, temporaryDirectory } from "../../support/processes.js";

describe("API reference, end to end", () => {
  const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");

  test("is what typedoc makes of the source", async (t) => {
    const out = temporaryDirectory();
    t.after(() => removeDirectory(out));
    const { exit, output } = await run(join(PROJECT, "node_modules/.bin/typedoc"), ["--out", out], PROJECT);
    assert.equal(exit.code, 0, output);
    assert.equal(read("docs/api/README.md"), readFileSync(join(out, "README.md"), "utf8"), "npm run docs");
  });
});
