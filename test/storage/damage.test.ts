/** Files that were damaged while nobody had them open. test/fault/damage.test.ts uses them in processes of their own. */
import assert from "node:assert/strict";
import { truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { findFileDamage } from "../../src/storage/lmdb/lmdb-file.js";
import { use, wholeFile } from "./whole-file.js";

describe("Damage", () => {
  test("a file that was closed, and what a smaller and a larger history leave, has no flaw", async (t) => {
    const { dir, file } = await wholeFile(t);
    assert.equal(findFileDamage(file), undefined);
    assert.equal(findFileDamage(join(dir, "nothing")), undefined);
    assert.equal(await use(dir), 0);
    assert.equal(findFileDamage(file), undefined);
  });

  test("a file that ends too soon has a flaw, wherever it was cut", async (t) => {
    const { file, bytes } = await wholeFile(t);
    for (const part of [0.99, 0.5, 0.1, 0.01]) {
      truncateSync(file, Math.floor(bytes.length * part));
      assert.match(findFileDamage(file) ?? "none", /./);
    }
  });
});
