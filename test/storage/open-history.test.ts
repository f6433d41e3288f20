import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { openHistory } from "../../src/storage/open-history.js";
import { publication } from "../contract/history.js";
import { FakeClock } from "../support/clock.js";
import { damageBlock } from "../support/damage.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

function setUp(t: TestContext) {
  const path = temporaryDirectory();
  t.after(() => removeDirectory(path));
  const warnings: string[] = [];
  const options = { path, durability: "commit", maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12 } as const;
  const open = (store: "lmdb" | "memory") =>
    openHistory({ ...options, store, warn: (warning) => warnings.push(warning) }, new FakeClock());
  return { path, open, warnings };
}

describe("openHistory", () => {
  test("opens a history in memory, which is empty after a close", async (t) => {
    const { open } = setUp(t);
    const first = await open("memory");
    await first.append(publication(first, 1));
    await first.close();
    assert.equal((await open("memory")).count, 0);
  });

  test("opens the stored history again, and warns of damaged blocks", async (t) => {
    const { open, path, warnings } = setUp(t);
    const first = await open("lmdb");
    for (let offset = 1; offset <= 100; offset++) await first.append(publication(first, offset));
    await first.close();
    await damageBlock(path);
    const second = await open("lmdb");
    t.after(() => second.close());
    assert.deepEqual([second.epoch, second.last], [first.epoch, 100]);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /^1 block of the history, .* is damaged/);
  });
});
