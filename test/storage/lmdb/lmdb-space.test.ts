import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { LmdbSpace } from "../../../src/storage/lmdb/lmdb-space.js";
import { removeDirectory, temporaryDirectory } from "../../support/processes.js";

const PAGE = 4096;

/** A file of which LMDB would use the pages up to `state.lastPage`. */
function space(t: TestContext, pages: number, maxBytes?: number) {
  const folder = temporaryDirectory();
  t.after(() => removeDirectory(folder));
  const file = join(folder, "data.mdb");
  const bytes = randomBytes(pages * PAGE);
  writeFileSync(file, bytes);
  const state = { lastPage: pages - 1, asked: 0 };
  const lastPage = () => {
    state.asked++;
    return state.lastPage;
  };
  const made = new LmdbSpace({ file, lastPage, maxBytes });
  t.after(() => made.close());
  return { space: made, state, bytes, file, size: () => statSync(file).size };
}

describe("LmdbSpace", () => {
  test("allocates the pages of a claim behind those that are used, and changes nothing else", (t) => {
    const { space: it, bytes, file, size } = space(t, 10);
    it.claim(100);
    assert.ok(size() >= 110 * PAGE, `${size()}`);
    const content = readFileSync(file);
    assert.ok(content.subarray(0, bytes.length).equals(bytes));
    assert.ok(content.subarray(bytes.length).every((byte) => byte === 0));
  });

  test("grows no further while what was claimed is not used", (t) => {
    const { space: it, size } = space(t, 10);
    it.claim(100);
    const before = size();
    for (let claim = 0; claim < 1000; claim++) it.claim(100);
    assert.equal(size(), before);
  });

  test("allocates more when the pages are used", (t) => {
    const { space: it, state, size } = space(t, 10);
    for (let claim = 0; claim < 50; claim++) {
      it.claim(20);
      assert.ok(size() >= (state.lastPage + 1 + 20) * PAGE, `${size()} after ${claim}`);
      state.lastPage += 20;
    }
  });

  test("asks what is used only now and then", (t) => {
    const { space: it, state } = space(t, 10);
    it.claim(500);
    const { asked } = state;
    for (let claim = 0; claim < 20; claim++) it.claim(1);
    assert.ok(state.asked <= asked + 2, `${state.asked}`);
  });

  test("does not change a byte that is in use, also where the file ends with it", (t) => {
    const { space: it, bytes, file } = space(t, 64, 64 * PAGE);
    it.claim(24);
    assert.ok(readFileSync(file).equals(bytes));
  });

  test("refuses to go on with a file that was truncated", (t) => {
    const { space: it, file, size } = space(t, 10);
    it.claim(1);
    truncateSync(file, 5 * PAGE);
    assert.throws(() => it.claim(1), /made shorter/);
    assert.equal(it.canClaim(1), false);
    assert.equal(size(), 5 * PAGE);
  });

  test("does not let the file grow beyond what LMDB would let it", (t) => {
    const { space: it, size } = space(t, 10, 20 * PAGE);
    it.claim(100);
    assert.equal(size(), 20 * PAGE);
  });
});
