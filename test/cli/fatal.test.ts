/** Mistakes of our own, each in a process that ends of it. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";

const [LOGGER, FATAL] = ["observability/log/logger.js", "cli/fatal.js"].map((path) =>
  fileURLToPath(new URL(`../../src/${path}`, import.meta.url)),
);

/** A program that has a `log`, and does something wrong. */
function run(t: TestContext, script: string): ChildProcess {
  const program = `
    import { openLog } from ${JSON.stringify(LOGGER)};
    import { endOnInternalError } from ${JSON.stringify(FATAL)};
    const log = openLog("info");
    endOnInternalError(log);
    setInterval(() => {}, 1000);
    ${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program]);
  t.after(() => child.kill("SIGKILL"));
  return child;
}

interface End {
  readonly code: number | null;
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  readonly stderr: string;
}

async function endOf(child: ChildProcess): Promise<End> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  const texts = stdout.split("\n").filter((line) => line !== "");
  return { code, lines: texts.map((line) => JSON.parse(line)), stderr };
}

describe("A daemon that meets a mistake of its own", () => {
  for (const [what, script, origin] of [
    ["an exception in a timer", `setTimeout(() => { throw new RangeError("a mistake"); });`, "uncaughtException"],
    ["an unhandled rejection", `Promise.reject(new RangeError("a mistake"));`, "unhandledRejection"],
    ["SIGABRT", `process.kill(process.pid, "SIGABRT"); log.debug("a mistake");`, "SIGABRT"],
    ["something that is no error", `Promise.reject("a mistake");`, "unhandledRejection"],
  ] as const) {
    test(`logs ${what} as fatal with its stack, and exits with 70`, async (t) => {
      const { code, lines, stderr } = await endOf(run(t, script));
      assert.deepEqual([code, lines.length, stderr], [70, 1, ""]);
      const [line = assert.fail("no line")] = lines;
      assert.deepEqual([line.level, line.event, line.origin], ["fatal", "fatal", origin]);
      const { message, stack } = line.err as { message: string; stack: string };
      assert.match(message, /a mistake|SIGABRT/);
      assert.match(stack, /\n {4}at /);
      assert.match(String(line.fix), /start the daemon again/);
    });
  }

  test("first writes the log lines that are queued for a slow reader", async (t) => {
    const child = run(
      t,
      `for (let line = 0; line < 20_000; line++) log.info({ line }, "a line of some length, so that the pipe is full");
       setImmediate(() => { throw new Error("a mistake"); });`,
    );
    const { code, lines } = await endOf(child);
    assert.deepEqual([code, lines.length, lines.at(-1)?.event], [70, 20_001, "fatal"]);
  });

  test("does not wait for a reader that has stopped", async (t) => {
    const child = run(
      t,
      `for (let line = 0; line < 20_000; line++) log.info({ line }, "a line of some length, so that the pipe is full");
       setImmediate(() => { throw new Error("a mistake"); });`,
    );
    const [code] = (await once(child, "exit")) as [number | null];
    assert.equal(code, 70);
  });

  test("writes warnings of Node.js as lines of the log", async (t) => {
    const { lines, stderr } = await endOf(
      run(t, `process.emitWarning("something is old"); setImmediate(() => setImmediate(() => process.exit(0)));`),
    );
    assert.deepEqual([lines.map(({ level, event }) => [level, event]), stderr], [[["warn", "warning"]], ""]);
  });
});
