/** The keys of issuers in the data folder. */
import assert from "node:assert/strict";
import { readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { JwksFiles } from "../../src/storage/jwks-files.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

const [A, B] = ["https://a.example/jwks", "https://b.example/jwks"];

describe("JwksFiles", () => {
  let folder: string;
  beforeEach(() => {
    folder = temporaryDirectory();
  });
  afterEach(() => removeDirectory(folder));
  const only = () => join(folder, readdirSync(folder)[0] ?? "");

  test("give what was written for a URL last, to another process, too", () => {
    const files = new JwksFiles(folder);
    assert.equal(files.read(A), undefined);
    files.write(A, "one", 1);
    files.write(B, "other", 2);
    files.write(A, "two", 3);
    const again = new JwksFiles(folder);
    assert.deepEqual(again.read(A), { url: A, text: "two", readAt: 3 });
    assert.deepEqual(again.read(B), { url: B, text: "other", readAt: 2 });
    const names = readdirSync(folder);
    assert.equal(names.length, 2);
    for (const name of names) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  });

  test("refuse a file that is damaged, of another URL, or too large", () => {
    const files = new JwksFiles(folder);
    files.write(A, "one", 1);
    writeFileSync(only(), JSON.stringify({ url: B, text: "one", readAt: 1 }));
    assert.throws(() => files.read(A), /is damaged$/);
    for (const text of ["null", '{"url":"x"}', "{"]) {
      writeFileSync(only(), text);
      assert.throws(() => files.read(A));
    }
    truncateSync(only(), 3_000_001);
    assert.throws(() => files.read(A), /more than 3000000 bytes/);
  });

  test("throw where the folder cannot be written", () => {
    assert.throws(() => new JwksFiles(join(folder, "none")).write(A, "one", 1), { code: "ENOENT" });
  });
});
