import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { openRevocationFile } from "../../src/storage/revocation-file.js";

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "m2push-revocations-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const A = { id: "a".repeat(16), keepUntil: 1000 };
const B = { id: "b".repeat(16), issuedUntil: 5 };

describe("Revocation file", () => {
  test("has what was appended, for the daemon's user only", (t) => {
    const folder = newFolder(t);
    const file = openRevocationFile(folder, 0);
    assert.deepEqual(file.recorded, []);
    file.append([A]);
    file.append([B]);
    assert.deepEqual(openRevocationFile(folder, 0).recorded, [A, B]);
    assert.equal(statSync(join(folder, "revocations.jsonl")).mode & 0o777, 0o600);
  });

  test("leaves out what has expired, and lines that a crash damaged", (t) => {
    const folder = newFolder(t);
    openRevocationFile(folder, 0).append([A, B]);
    appendFileSync(join(folder, "revocations.jsonl"), '{"id":7}\n{"id":"cccccc');
    const file = openRevocationFile(folder, 1000);
    assert.deepEqual(file.recorded, [B]);
    assert.equal(readFileSync(join(folder, "revocations.jsonl"), "utf8"), `${JSON.stringify(B)}\n`);
    file.append([A]);
    assert.deepEqual(openRevocationFile(folder, 0).recorded, [B, A]);
  });

  test("is an error where the folder does not exist", () => {
    assert.throws(() => openRevocationFile("/nonexistent", 0).append([A]), /ENOENT/);
  });
});
