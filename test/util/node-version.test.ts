/** The required version of Node.js: the rule, and every file that names it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { MIN_NODE_VERSION, nodeVersionFault } from "../../src/util/node-version.js";
import { PROJECT, run } from "../support/processes.js";

describe("Node.js version", () => {
  for (const version of ["v18.20.8", "v20.0.0", "v20.14.0", "v20.2.0", "v9.9.9"]) {
    test(`rejects ${version}, and names the required version`, () => {
      assert.equal(
        nodeVersionFault(version),
        `expected Node.js 20.15 or newer, got ${version}; fix: install a newer Node.js and start m2push with it`,
      );
    });
  }

  for (const version of ["v20.15.0", "v20.20.2", "v21.0.0", "v22.1.0", "v26.12.0", "v24.0.0-nightly2026"]) {
    test(`accepts ${version}`, () => assert.equal(nodeVersionFault(version), undefined));
  }

  test("the command prints one line and exits with 1 on an older version", async () => {
    const older = 'data:text/javascript,Object.defineProperty(process,"version",{value:"v20.14.0"})';
    const program = join(PROJECT, "dist/cli/main.js");
    for (const command of ["serve", "--version", "config"]) {
      const { exit, output } = await run(process.execPath, ["--import", older, program, command], PROJECT);
      assert.deepEqual([exit.code, output], [1, `m2push: ${nodeVersionFault("v20.14.0")}\n`], command);
    }
  });

  test("is the same in every file that names it", () => {
    const named: [path: string, pattern: RegExp][] = [
      ["package.json", /"node": ">=([\d.]+)"/],
      ["setup.sh", /^NODE_VERSION=([\d.]+)$/m],
      ["packaging/debian/control.in", /nodejs \(>= ([\d.]+)\)/],
      ["docs/operating.md", /\bNode ([\d.]+) or newer/],
      ["README.md", /\bNode ([\d.]+) or newer/],
      ["CONTRIBUTING.md", /\bNode ([\d.]+) or newer/],
    ];
    for (const [path, pattern] of named) {
      assert.equal(pattern.exec(readFileSync(join(PROJECT, path), "utf8"))?.[1], MIN_NODE_VERSION, path);
    }
  });
});
