/** The bill of materials of a release: every package that is shipped, and no other. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { PROJECT } from "../support/processes.js";

interface Bill {
  readonly bomFormat: string;
  readonly metadata: { readonly timestamp: string; readonly component: { readonly name: string } };
  readonly components: readonly { readonly "bom-ref": string }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

describe("Bill of materials", () => {
  test("has the production dependencies of the lock file, and the same bytes each time", () => {
    const env = { ...process.env, SOURCE_DATE_EPOCH: "1700000000" };
    const text = execFileSync(process.execPath, ["scripts/sbom.js"], { cwd: PROJECT, env, encoding: "utf8" });
    const { bomFormat, metadata, components, dependencies } = JSON.parse(text) as Bill;
    const { packages } = JSON.parse(readFileSync(join(PROJECT, "package-lock.json"), "utf8")) as {
      packages: Record<string, { readonly version: string; readonly dev?: boolean }>;
    };
    const shipped = Object.entries(packages).flatMap(([path, { version, dev }]) =>
      path === "" || dev ? [] : [`${path.replace(/^.*node_modules\//, "")}@${version}`],
    );
    const refs = components.map((component) => component["bom-ref"]);
    assert.deepEqual([bomFormat, metadata.component.name], ["CycloneDX", "m2push"]);
    assert.equal(metadata.timestamp, "2023-11-14T22:13:20.000Z");
    assert.deepEqual([...refs].sort(), [...new Set(shipped)].sort());
    const known = new Set([...refs, ...dependencies.map(({ ref }) => ref)]);
    assert.deepEqual(
      dependencies.flatMap(({ dependsOn }) => dependsOn.filter((it) => !known.has(it))),
      [],
    );
    assert.ok(!text.includes("serialNumber"));
  });
});
