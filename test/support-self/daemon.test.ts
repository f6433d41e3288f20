/** The daemon's launcher, with small programs in the daemon's place. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { type Daemon, type DaemonOptions, startDaemon } from "../support/daemon.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

let dir = "";
let daemon: Daemon | undefined;

function start(program: string, options: Partial<DaemonOptions> = {}): Daemon {
  dir = temporaryDirectory();
  const file = join(dir, "program.mjs");
  writeFileSync(file, `const log = (line) => console.log(JSON.stringify(line));\n${program}\n`);
  daemon = startDaemon({ config: "", program: file, ...options });
  return daemon;
}

describe("Daemon of the test support", () => {
  afterEach(async () => {
    await daemon?.stop("SIGKILL");
    removeDirectory(dir);
  });

  const FOREVER = "setInterval(() => {}, 1000);";

  test("it is given the command, the configuration and the variables, and none of our own M2PUSH_ ones", async () => {
    process.env.M2PUSH_STRAY = "1";
    const running = start(
      "log({ args: process.argv.slice(2), env: process.env.M2PUSH_LOG, stray: process.env.M2PUSH_STRAY });",
      {
        config: "[log]\n",
        env: { M2PUSH_LOG: "debug" },
        command: ["config", "--check"],
      },
    );
    const line = await running.logged(() => true, "a line");
    delete process.env.M2PUSH_STRAY;
    assert.deepEqual(line, { args: ["config", "--check", "-c", running.configFile], env: "debug" });
    assert.equal(readFileSync(running.configFile, "utf8"), "[log]\n");
  });

  test("lines are found before and after they are asked for, however they are cut, and others are kept apart", async () => {
    const running = start(
      `process.stdout.write('{"n":1}\\nnot json\\n{"n"'); setImmediate(() => process.stdout.write(':2}\\n')); ${FOREVER}`,
    );
    await running.logged(({ n }) => n === 2, "the second");
    assert.deepEqual(await running.logged(({ n }) => n === 1, "the first"), { n: 1 });
    assert.deepEqual(running.log, [{ n: 1 }, { n: 2 }]);
    assert.deepEqual(running.noise, ["not json"]);
    await assert.rejects(
      running.logged(({ n }) => n === 1, "another first", { from: 1, ms: 1 }),
      /another first[\s\S]*not json/,
    );
  });

  test("a wait ends with the daemon, and shows the end of its log", async () => {
    const running = start("log({ msg: 'hello' }); console.error('the reason'); process.exitCode = 2;");
    const wait = running.logged(({ msg }) => msg === "ready", "readiness");
    await assert.rejects(wait, /ended before readiness[\s\S]*"code":2[\s\S]*hello[\s\S]*the reason/);
  });

  test("stop resolves with the exit code, after everything was logged", async () => {
    const running = start(
      `process.on("SIGTERM", () => { log({ msg: "bye" }); process.exit(3); }); log({ msg: "up" }); ${FOREVER}`,
    );
    await running.logged(({ msg }) => msg === "up", "the start");
    assert.equal(await running.stop(), 3);
    assert.deepEqual(running.log.at(-1), { msg: "bye" });
    assert.equal(existsSync(running.dir), false);
  });

  test("stop with another signal sends that one, and a death by signal has no code", async () => {
    const running = start(`log({}); ${FOREVER}`);
    await running.logged(() => true, "the start");
    assert.equal(await running.stop("SIGINT"), null);
    assert.equal(running.exit?.signal, "SIGINT");
  });

  test("kill9 leaves a given directory as it is, and the next daemon starts on it", async () => {
    const data = temporaryDirectory();
    const running = start(`log({ pid: process.pid }); ${FOREVER}`, { dir: data });
    const { pid } = await running.logged(() => true, "the start");
    assert.equal(pid, running.pid);
    await running.kill9();
    assert.equal(running.exit?.signal, "SIGKILL");
    assert.equal(existsSync(running.configFile), true);
    removeDirectory(data);
  });

  test("throws an error with the fix for a program that was not built", () => {
    assert.throws(() => startDaemon({ config: "", program: "/nonexistent/main.js" }), /npm run build/);
  });
});
