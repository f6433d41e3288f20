import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { PROJECT } from "../support/processes.js";

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly integrity?: string; readonly resolved?: string }>>;
}

describe("package-lock.json", () => {
  const lock: LockFile = JSON.parse(readFileSync(join(PROJECT, "package-lock.json"), "utf8"));
  const packages = Object.entries(lock.packages).filter(([path]) => path !== "");

  test("names the content of every package, also of those for other systems", () => {
    assert.ok(packages.length > 50);
    const without = packages.filter(([, { integrity }]) => !integrity?.startsWith("sha512-")).map(([path]) => path);
    assert.deepEqual(without, []);
  });

  test("names no registry: any that has the same content will do", () => {
    assert.deepEqual(
      packages.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path),
      [],
    );
  });
});
