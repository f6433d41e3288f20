/** `npm run release` in a clone of the repository: what it refuses, and what it would do. */
import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { PROJECT, run, temporaryDirectory } from "../../support/processes.js";

describe("Release, end to end", () => {
  let clone = "";

  before(async () => {
    clone = join(temporaryDirectory(), "clone");
    await git(PROJECT, "clone", "--quiet", "--depth", "1", `file://${PROJECT}`, clone);
    // The script of this working tree, also where it is not committed yet.
    writeFileSync(join(clone, "scripts/release.sh"), readFileSync(join(PROJECT, "scripts/release.sh")));
    writeFileSync(join(clone, "CHANGELOG.md"), "# Changelog\n\n## 7.0.0 (not released)\n\n- One change.\n");
    await git(
      clone,
      "-c",
      "user.name=T",
      "-c",
      "user.email=t@example.com",
      "commit",
      "--quiet",
      "--all",
      "--message",
      "Begin",
    );
  });

  const release = (...args: string[]) => run("bash", ["scripts/release.sh", ...args], clone);

  test("refuses what is no version, has no section, or is tagged", async () => {
    assert.deepEqual(await release(), {
      exit: { code: 1, signal: null },
      output: "release: expected a version such as 1.2.3, got ''\nrelease:   fix: npm run release -- 1.2.3\n",
    });
    assert.match(
      (await release("7.0.1")).output,
      /^release: CHANGELOG\.md has no section '## 7\.0\.1 \(not released\)'\n/,
    );
    await git(clone, "tag", "v7.0.0");
    assert.match((await release("7.0.0")).output, /^release: the tag v7\.0\.0 exists\n/);
    await git(clone, "tag", "--delete", "v7.0.0");
  });

  test("in a dry run prints its steps and changes nothing", async () => {
    const { exit, output } = await release("7.0.0", "--dry-run");
    assert.equal(exit.code, 0, output);
    assert.match(output, /^release: git tag -a v7\.0\.0 -m m2push 7\.0\.0$/m);
    assert.match(
      output,
      /^release: npm run -s deb -- release\nrelease: bill_of_materials\nrelease: manifests\nrelease: sums$/m,
    );
    assert.equal((await git(clone, "status", "--porcelain")) + (await git(clone, "tag")), "");
  });

  test("refuses changes that are not committed", async () => {
    appendFileSync(join(clone, "README.md"), "x\n");
    const { exit, output } = await release("7.0.0", "--dry-run");
    assert.equal(exit.code, 1);
    assert.match(output, /^release: the working tree has changes that are not committed\n/);
  });
});

async function git(cwd: string, ...args: string[]): Promise<string> {
  const { exit, output } = await run("git", args, cwd);
  assert.equal(exit.code, 0, output);
  return output;
}
