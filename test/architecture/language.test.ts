/** The words of the project: the check that lint runs over all files finds what it must. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { PROJECT } from "../support/processes.js";

const CHECK = join(PROJECT, "scripts/check-language.js");

/** The check is JavaScript, so that lint runs without a build. */
const { languageFindings: findings } = (await import(pathToFileURL(CHECK).href)) as {
  languageFindings(path: string, text: string): string[];
};

describe("Language", () => {
  test("words are found alone and within names, in any case", () => {
    assert.deepEqual(findings("docs/a.md", "Whoever waits.\n"), ['docs/a.md:1: "Whoever"']);
    const named = findings("docs/a.md", "the parsedWish, WISH_LIST, wishes\n");
    assert.deepEqual(named, ['docs/a.md:1: "Wish"', 'docs/a.md:1: "WISH"', 'docs/a.md:1: "wishes"']);
    assert.deepEqual(findings("docs/a.md", "recommended, comment, generation, several, committee\n"), []);
    assert.deepEqual(findings("docs/a.md", "the promise settles; the journal of systemd\n"), []);
  });

  test("a numeric constant without a unit is found in src", () => {
    assert.deepEqual(findings("src/a.ts", "const PAUSE = 2 * 500;\n"), ["src/a.ts:1: PAUSE has no unit"]);
    assert.deepEqual(findings("src/a.ts", 'const PAUSE_MS = 2 * 500;\nconst NAME = "a";\n'), []);
  });

  test("names that say too little are found in src", () => {
    const found = ["src/a.ts:1: declares Told", 'src/a.ts:1: "Told" in the name Told'];
    assert.deepEqual(findings("src/a.ts", "export class Told {}\n"), found);
    assert.deepEqual(findings("src/a.ts", "// told\n"), []);
  });
});
