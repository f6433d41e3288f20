/** docs/mercure.md: its totals are those of its rows, its tests exist, and what is not met has a reason. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { PROJECT } from "../support/processes.js";
import { page } from "./pages.js";

const VERDICTS = ["yes", "by setting", "in part", "no"] as const;

const text = page("docs/mercure.md");

interface Row {
  readonly statement: string;
  readonly verdict: string;
  readonly tests: readonly string[];
}

/** The rows of the tables of one dialect. */
function rowsOf(dialect: string): Row[] {
  const [, section = ""] = text.split(`\n## ${dialect}\n`);
  const [own = ""] = section.split("\n## ");
  const rows = own.matchAll(/^\| (?:MUST|SHOULD|MAY)(?: NOT)? \| (.*) \| ([a-z ]+) \| (.*) \|$/gm);
  return [...rows].map(([, statement = "", verdict = "", tests = ""]) => ({
    statement,
    verdict,
    tests: [...tests.matchAll(/`([^`]+)`/g)].map(([, test = ""]) => test),
  }));
}

describe("docs/mercure.md", () => {
  for (const dialect of ["draft-08", "0.x"]) {
    const rows = rowsOf(dialect);

    test(`has the totals of its rows of ${dialect}`, () => {
      const counts = VERDICTS.map((wanted) => rows.filter(({ verdict }) => verdict === wanted).length);
      assert.equal(
        counts.reduce((sum, count) => sum + count),
        rows.length,
        "every verdict is one of the four",
      );
      assert.ok(text.includes(`| ${[dialect, rows.length, ...counts].join(" | ")} |`), `${rows.length}: ${counts}`);
    });

    test(`names a test for each statement of ${dialect} that is met, and only tests that exist`, () => {
      const untested = rows.filter(({ verdict, tests }) => verdict !== "no" && tests.length === 0);
      const missing = rows
        .flatMap(({ tests }) => tests)
        .filter((it) => !existsSync(join(PROJECT, `test/${it}.test.ts`)));
      assert.deepEqual([untested, missing], [[], []]);
    });
  }

  test("has a reason for everything that is not met as it stands", () => {
    const [, section = ""] = text.split("\n## What is not met, or only in part\n");
    const [table = ""] = section.split("\n## ");
    const reasons = [...table.matchAll(/^\| .* \|$/gm)].length - 2;
    const unmet = [...rowsOf("draft-08"), ...rowsOf("0.x")].filter(({ verdict }) => verdict !== "yes");
    assert.equal(reasons, unmet.length);
  });
});
