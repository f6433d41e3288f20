/** Pages of a stored history that were damaged while nobody had it open: LMDB would end the process with a signal for many of them. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FILE, use, wholeFile } from "../storage/whole-file.js";

const PAGE = 4096;
/** A process is started for each. */
const DAMAGES = Number(process.env.DAMAGES ?? 30);

describe("Damage, under faults", () => {
  test("a file with a damaged page is refused in words or used to its end: no damage ends the process", async (t) => {
    const { dir, bytes } = await wholeFile(t);
    const pages = Math.floor(bytes.length / PAGE);
    const damage = fc.record({
      page: fc.nat(pages - 1),
      bytes: fc.oneof(
        fc.constant(Buffer.alloc(PAGE)),
        fc.uint8Array({ minLength: PAGE, maxLength: PAGE }),
        fc.nat(pages - 1).map((other) => bytes.subarray(other * PAGE, (other + 1) * PAGE)),
        fc.uint8Array({ minLength: 16, maxLength: 64 }),
      ),
    });
    const results = await Promise.all(
      fc.sample(damage, DAMAGES).map(async (it, number) => {
        const copy = join(dir, `copy ${number}`);
        mkdirSync(copy);
        const damaged = Buffer.from(bytes);
        damaged.set(it.bytes, it.page * PAGE);
        writeFileSync(join(copy, FILE), damaged);
        return use(copy);
      }),
    );
    const [used, refused] = [0, 3].map((code) => results.filter((it) => it === code).length);
    t.diagnostic(`${used} were used, ${refused} were refused`);
    assert.deepEqual(
      results.filter((it) => it !== 0 && it !== 3),
      [],
    );
  });
});
