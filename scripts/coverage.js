/**
 * Measures what the tests without those of e2e and fault folders run of src/, and checks it: `npm run coverage`. Exits 1 below the
 * limits. `--report` checks what the last run measured; a report for browsers is in build/coverage/index.html.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const FOLDER = "build/coverage";
const MIN_TOTAL_PERCENT = 94;
const MIN_FILE_PERCENT = 80;

/** Files that only start processes, each with the end-to-end test that runs it. */
const E2E_ONLY = {
  "src/cli/up-command.ts": "test/e2e/up.test.ts",
  "src/mongrel2/mongrel2-process.ts": "test/e2e/up.test.ts",
};

function c8(...args) {
  const options = [
    "--temp-directory",
    `${FOLDER}/raw`,
    "--reports-dir",
    FOLDER,
    "--exclude-after-remap",
    "--src",
    "src",
  ];
  const include = ["--include", "src/**/*.ts", "--exclude", "none"];
  const reporters = ["json-summary", "html"].flatMap((name) => ["--reporter", name]);
  const command = [
    args[0] === "report" ? "report" : "",
    ...options,
    ...include,
    ...reporters,
    ...args.filter((it) => it !== "report"),
  ];
  const { status, error } = spawnSync("npx", ["c8", ...command.filter(Boolean)], { cwd: ROOT, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(1);
}

if (process.argv.includes("--report")) c8("report");
else c8(process.execPath, "scripts/run-tests.js", "--compiled", "--without-e2e");

const { total, ...files } = JSON.parse(readFileSync(join(ROOT, FOLDER, "coverage-summary.json"), "utf8"));
const found = [];
if (total.lines.pct < MIN_TOTAL_PERCENT)
  found.push(`${total.lines.pct} % of all lines; expected ${MIN_TOTAL_PERCENT} %`);
for (const [path, { lines }] of Object.entries(files)) {
  const name = relative(ROOT, path);
  if (lines.pct < MIN_FILE_PERCENT && !Object.hasOwn(E2E_ONLY, name))
    found.push(`${name}: ${lines.pct} % of ${lines.total} lines`);
}
for (const [name, test] of Object.entries(E2E_ONLY)) {
  if (!existsSync(join(ROOT, name)) || !existsSync(join(ROOT, test)))
    found.push(`${name}, tested by ${test}: no such file`);
}
console.log(`${total.lines.pct} % of ${total.lines.total} lines in ${Object.keys(files).length} files`);
for (const finding of found) console.log(finding);
process.exitCode = found.length > 0 ? 1 : 0;
