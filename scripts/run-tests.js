/**
 * Runs the tests. `npm test` runs all of them, after it has installed what they need and checked the sources; `npm run test:unit`
 * those that need no peer (Mongrel2, NATS, nginx, a browser, promtool); `npm run test:watch` the unit tests, and again after each
 * change. `npm test -- FILE...` and `npm run test:watch -- FILE...` run the named files or folders, by their source paths
 * (test/hub/hub.test.ts). `--compiled` skips the build; `--without-e2e` leaves out the tests of e2e and fault folders.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const BUILT = join(ROOT, "build");
/** Of a test and of a process: the slowest takes 40 s, on a machine with ten times its load 120 s. */
const TIMEOUT_MS = 240_000;
const FILES_PER_PROCESS = 16;
/** Stack traces name the sources, and property tests run from one seed. */
const OPTIONS = ["--enable-source-maps", "--import", "./build/test/support/seed.js"];
/** Folders whose tests run the daemon beside real peers. */
const PEER_FOLDER = /(?:^|\/)(?:e2e|fault)\//;
/** Modules that start a peer: a test that imports one needs it. */
const PEER_MODULE = /from "[./]+\/support\/(?:nats|nginx|proxies|browser|pair|siege)\.js"|"promtool"/;

/** Runs commands in the project at the same time, with their output shown; ends this process when one fails. */
async function must(...commands) {
  const statuses = await Promise.all(commands.map(statusOf));
  const failed = statuses.find((status) => status !== 0);
  if (failed !== undefined) process.exit(failed);
}

const npmRun = (script) => ["npm", "run", "-s", script];

function statusOf([command, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: "inherit" });
    child.once("error", reject);
    child.once("close", (status) => resolve(status ?? 1));
  });
}

/** The compiled tests of a folder below build/. The compiler leaves the outputs of removed sources there: they do not count. */
function testsBelow(folder) {
  const entries = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const compiled = entries.filter((path) => path.endsWith(".test.js")).map((path) => join(folder, path));
  return compiled.filter((path) => existsSync(join(ROOT, relative(BUILT, path).replace(/\.js$/, ".ts"))));
}

/** The compiled tests of a source file or of a folder of the sources. */
function compiledTests(source) {
  const path = resolve(ROOT, source);
  const compiled = join(BUILT, relative(ROOT, path).replace(/\.ts$/, ".js"));
  if (!existsSync(path) || !existsSync(compiled) || !/^test(?:\/|$)/.test(relative(ROOT, path))) {
    console.error(`no such test: ${source}; expected a file or a folder below test/, such as test/hub/hub.test.ts`);
    process.exit(2);
  }
  return statSync(path).isDirectory() ? testsBelow(compiled) : [compiled];
}

/** Whether a compiled test needs a program that is no part of Node.js or of the operating system's base. */
function needsPeer(path) {
  return PEER_FOLDER.test(relative(BUILT, path)) || PEER_MODULE.test(readFileSync(path, "utf8"));
}

/**
 * Modules that import unit tests, FILES_PER_PROCESS each: a process of its own for each file would take longer to start than most files
 * need. Neighbours share a process, which are mostly tests of one folder.
 */
function grouped(units) {
  const folder = mkdtempSync(join(BUILT, "groups-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const sorted = units.toSorted();
  return Array.from({ length: Math.ceil(sorted.length / FILES_PER_PROCESS) }, (_, index) => {
    const members = sorted.slice(index * FILES_PER_PROCESS, (index + 1) * FILES_PER_PROCESS);
    const group = join(folder, `${index + 1}.js`);
    writeFileSync(group, members.map((path) => `import "${relative(folder, path)}";\n`).join(""));
    return group;
  });
}

/** Files that start peers come first: they take the longest, and none of them should run alone at the end. */
function inOrder(paths) {
  const [peers, units] = [true, false].map((needs) => paths.filter((path) => needsPeer(path) === needs).sort());
  return [...peers, ...grouped(units)];
}

function runTests(paths) {
  const files = inOrder(paths).map((path) => relative(ROOT, path));
  const options = [...OPTIONS, `--test-timeout=${TIMEOUT_MS}`];
  return must([process.execPath, ...options, "scripts/run-files.js", `${TIMEOUT_MS}`, ...files]);
}

function unitTests() {
  const all = testsBelow(join(BUILT, "test"));
  const units = all.filter((path) => !needsPeer(path));
  console.log(
    `${units.length} test files; ${all.length - units.length} are left out because they need a peer (Mongrel2, NATS, nginx, chromium or promtool): npm test runs them`,
  );
  return units;
}

/** Compiles after each change of a source, and runs the tests that use what changed. */
function watchTests(paths) {
  const options = { cwd: ROOT, stdio: "inherit" };
  // Without npx, which would leave its child running when it is killed.
  const compile = ["node_modules/typescript/bin/tsc", "-p", "tsconfig.json", "--watch", "--preserveWatchOutput"];
  const children = [compile, [...OPTIONS, "--test", "--watch", ...paths]].map((args) =>
    spawn(process.execPath, args, options),
  );
  process.once("exit", () => {
    for (const child of children) child.kill();
  });
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(0));
}

const args = process.argv.slice(2);
const flags = new Set(args.filter((arg) => arg.startsWith("--")));
const sources = args.filter((arg) => !arg.startsWith("--"));
const isWhole = sources.length === 0 && flags.size === 0;
if (isWhole) await must(["bash", "setup.sh", "test"]);
// The client first: the tests are compiled against its types.
const isCompiled = flags.has("--compiled");
if (!isCompiled) await must(npmRun("build:client"));
// The tests of the program's commands start dist/; the others import build/.
const compilers = isCompiled ? [] : [npmRun("build:daemon"), npmRun("compile")];
await must(...(isWhole ? [npmRun("lint")] : []), ...compilers);

function selectedTests() {
  if (sources.length > 0) return sources.flatMap(compiledTests);
  if (flags.has("--unit") || flags.has("--watch")) return unitTests();
  const all = testsBelow(join(BUILT, "test"));
  return flags.has("--without-e2e") ? all.filter((path) => !PEER_FOLDER.test(relative(BUILT, path))) : all;
}

if (flags.has("--watch")) watchTests(selectedTests());
else await runTests(selectedTests());
