/** The log on standard output: a process for each test, with a reader that is slow or has closed, or a full disk. */
import assert from "node:assert/strict";
import { type ChildProcess, type StdioOptions, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { pino } from "pino";
import { journaldLine, printable } from "../../../src/observability/log/line-format.js";
import { openLog } from "../../../src/observability/log/logger.js";
import { MESSAGES } from "../../../src/observability/log/messages.js";

const LOGGER = fileURLToPath(new URL("../../../src/observability/log/logger.js", import.meta.url));

const PREAMBLE = `import { droppedLines, openLog } from ${JSON.stringify(LOGGER)}; const log = openLog("info");`;

const outage = (message: string) =>
  `m2push: cannot write the log to standard output: ${message}; lines are dropped; fix: free some disk space, or start the program that reads the log\n`;

/** A program that has a `log`; nobody reads its output until the test does. What it says to the test goes to stderr. */
function run(t: TestContext, script: string): ChildProcess {
  const program = `${PREAMBLE} ${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program]);
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function linesOf(child: ChildProcess): Promise<Record<string, unknown>[]> {
  let text = "";
  for await (const piece of child.stdout?.setEncoding("utf8") ?? []) text += piece;
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

describe("Logger", () => {
  test("a line is written when the call returns: it is there after kill -9", async (t) => {
    const child = run(t, `log.info("one"); log.info("two"); process.kill(process.pid, "SIGKILL");`);
    const lines = await linesOf(child);
    assert.deepEqual(
      lines.map(({ level, msg }) => [level, msg]),
      [
        ["info", "one"],
        ["info", "two"],
      ],
    );
  });

  // A write for each was a tenth of what a connect costs.
  test("in a storm each turn's lines are one write; after it a line is again written when the call returns", async (t) => {
    const script = `
    const turn = () => new Promise(setImmediate);
    const { stdout } = process;
    const writes = [];
    const write = stdout.write.bind(stdout);
    stdout.write = (text) => { writes.push(text.match(/\\n/g).length); return write(text); };
    for (const lines of [30, 30, 30, 2, 3, 1]) {
      for (let line = 0; line < lines; line++) log.info("line");
      await turn();
    }
    stdout.write = write;
    log.info({ writes }, "end");
    process.kill(process.pid, "SIGKILL");`;
    const lines = await linesOf(run(t, script));
    assert.equal(lines.length, 97);
    assert.deepEqual(lines.at(-1)?.writes, [1, 1, 1, 1, 26, 30, 30, 2, 1, 1, 1, 1]);
  });

  test("writes the lines of pino, whatever their fields are", async () => {
    const [ours, theirs]: [string[], string[]] = [[], []];
    const log = openLog("info", { write: (line) => ours.push(line) });
    const options = { base: null, timestamp: false, formatters: { level: (level: string) => ({ level }) } };
    const reference = pino(options, { write: (line: string) => theirs.push(line) });
    const members = fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue({ stringUnit: "grapheme" }));
    const said: [object, string][] = [
      [{}, "nothing"],
      [
        { event: "x", left: undefined, many: [1, "a", null], none: Number.NaN, yes: true, __proto__: { not: "own" } },
        'a "text"\n',
      ],
      [{ event: "x", err: new Error("why") }, "failed"],
      [new Error("alone"), "failed"],
      ...fc.sample(fc.tuple(members, fc.string({ unit: "grapheme" })), 200),
    ];
    for (const [about, text] of said) {
      for (const to of [log, reference]) to.warn(about, text);
    }
    for (const to of [log, reference]) to.info("a text alone");
    const withoutTime = (line: string) => ({ ...JSON.parse(line), time: undefined });
    assert.deepEqual(ours.map(withoutTime), theirs.map(withoutTime));
    assert.ok(ours.every((line) => line.endsWith("}\n") && Date.parse(JSON.parse(line).time) > 0));
  });

  test("a reader that does not read does not hold the program up; it gets the queued lines, and how many were dropped", async (t) => {
    const TOTAL = 30_000;
    const script = `
    for (let line = 0; line < ${TOTAL}; line++) log.info({ line, pad: "x".repeat(1000) }, "much");
    process.stdout.once("drain", () => log.info("room again"));
    process.stderr.write("done");`;
    const child = run(t, script);
    const [said] = await once(child.stderr ?? child, "data");
    assert.equal(String(said), "done");
    const lines = await linesOf(child);
    const much = lines.filter(({ msg }) => msg === "much");
    assert.deepEqual(
      much.map(({ line }) => line),
      much.map((_, at) => at),
    );
    assert.ok(much.length > 10_000 && much.length < TOTAL, `${much.length} lines`);
    assert.deepEqual(
      lines.slice(much.length).map(({ event, lines, msg }) => [event, lines, msg]),
      [
        ["log_lines_dropped", TOTAL - much.length, MESSAGES.outputTooSlow],
        [undefined, undefined, "room again"],
      ],
    );
  });

  test("a reader that closes ends the log, not the program; lines are counted, and standard error says so once", async (t) => {
    const script = `
    process.stdin.on("data", () => { for (let line = 0; line < 1000; line++) log.info("lost"); });
    process.stdin.on("end", () => { log.info("lost"); setImmediate(() => process.stderr.write(droppedLines(log) + " dropped")); });`;
    const child = run(t, script);
    child.stdout?.destroy();
    child.stdin?.write("go");
    child.stdin?.end();
    let text = "";
    for await (const piece of child.stderr?.setEncoding("utf8") ?? []) text += piece;
    assert.equal(text, `${outage("write EPIPE")}1001 dropped`);
    assert.equal(child.exitCode ?? (await once(child, "exit"))[0], 0);
  });

  test("a full disk is reported on standard error once, and does not end the program", async () => {
    const script = `for (let line = 0; line < 10; line++) log.info("lost"); setImmediate(() => {
    log.info("lost"); setImmediate(() => process.stderr.write(droppedLines(log) + " dropped")); });`;
    const program = `${PREAMBLE} ${script}`;
    const full = openSync("/dev/full", "w");
    const stdio: StdioOptions = ["ignore", full, "pipe"];
    const args = ["--input-type=module", "-e", program];
    const { status, stderr } = spawnSync(process.execPath, args, { stdio, encoding: "utf8" });
    closeSync(full);
    assert.equal(stderr, `${outage("ENOSPC: no space left on device, write")}11 dropped`);
    assert.equal(status, 0);
  });

  test("listeners that a program has on its standard output stay, and hear of its errors", async () => {
    const script = `process.stdout.on("error", ({ code }) => process.stderr.write("own listener: " + code));`;
    const full = openSync("/dev/full", "w");
    const program = `${script} ${PREAMBLE} log.info("lost");`;
    const stdio: StdioOptions = ["ignore", full, "pipe"];
    const args = ["--input-type=module", "-e", program];
    const { stderr } = spawnSync(process.execPath, args, { stdio, encoding: "utf8" });
    closeSync(full);
    assert.match(stderr, /own listener: ENOSPC/);
  });

  test("a child logger's fields are in its lines, and a value that refers to itself is cut", () => {
    const lines: string[] = [];
    const circular: Record<string, unknown> = { name: "x" };
    circular.self = circular;
    openLog("info", { write: (line) => lines.push(line) })
      .child({ server: "main" })
      .info({ circular }, "text");
    const { server, circular: value, msg } = JSON.parse(lines[0] ?? "");
    assert.deepEqual([server, value, msg], ["main", { name: "x", self: "[Circular]" }, "text"]);
  });

  /** CSI and NEL of C1, right-to-left override, line separator, a tag. */
  const EVIL = "\u009b2JEVIL\u202egnp\u2028L2\u0085N\u{e0041}\u007f";
  const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029\p{Cf}]/u;

  test("no line has a character that a terminal obeys or that is invisible, however it is written", async (t) => {
    const lines: string[] = [];
    const log = openLog("info", { write: (line) => lines.push(line) });
    const calls = `log.info({ [evil]: evil, list: [evil] }, evil); log.warn(evil);
    log.error({ err: Object.assign(new Error(evil), { code: evil }) }, evil);`;
    new Function("log", "evil", calls)(log, EVIL);
    // The same on stdout, more of them in one turn than are written one by one.
    const child = run(t, `const evil = ${JSON.stringify(EVIL)}; for (let n = 0; n < 4; n++) { ${calls} }`);
    let text = "";
    for await (const piece of child.stdout?.setEncoding("utf8") ?? []) text += piece;
    assert.doesNotMatch(text, UNPRINTABLE);
    assert.equal(text.trimEnd().split("\n").length, 12);
    assert.doesNotMatch(lines.join(""), UNPRINTABLE);
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).msg),
      [EVIL, EVIL, EVIL],
    );
  });

  test("a line for a terminal has codes for such characters, and only a stack begins another line", () => {
    const lines: string[] = [];
    const log = openLog("info", { write: (line) => lines.push(line) });
    const forged = `a\n[12:00:00.000] FATAL: forged\u001b[31m${EVIL}`;
    log.info({ topics: [forged] }, forged);
    log.error({ err: new Error(forged) }, "failed");
    const [plain, failed] = lines.map((line) => JSON.parse(printable(line)));
    for (const text of [plain.msg, ...plain.topics, failed.err.message]) {
      assert.match(text, /^a\\n\[12:00:00\.000\] FATAL: forged\\u001b\[31m\\u009b2J/);
    }
    assert.match(failed.err.stack, /\n {4}at /);
    assert.doesNotMatch(failed.err.stack, /[\u001b\u007f-\u009f\u2028\u2029\p{Cf}]/u);
  });

  test("the format journald puts the priority of the level before each line", async (t) => {
    const script = `
    import { openLog } from ${JSON.stringify(LOGGER)};
    const log = openLog("trace", { format: "journald" });
    for (const level of ["fatal", "error", "warn", "info", "debug", "trace"]) log[level]("line");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    t.after(() => child.kill("SIGKILL"));
    let text = "";
    for await (const piece of child.stdout.setEncoding("utf8")) text += piece;
    const lines = text.trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => line.slice(0, 3)),
      ["<2>", "<3>", "<4>", "<6>", "<7>", "<7>"],
    );
    assert.equal(JSON.parse(lines[2]?.slice(3) ?? "").msg, "line");
    assert.match(journaldLine(`{"level":"warn","big":"${"x".repeat(5000)}"}\n`), /^<4>\{"level":"warn"/);
  });
});
