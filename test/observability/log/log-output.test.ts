import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Writable } from "node:stream";
import { describe, test } from "node:test";
import { type DropCause, LogOutput } from "../../../src/observability/log/log-output.js";

const turn = () => new Promise(setImmediate);

/** A standard output that fails while `error` is set, as a file on a full disk does, and whose reader is slow while `isSlow`. */
class FakeStdout extends EventEmitter {
  readonly writes: string[] = [];
  error: Error | undefined;
  isSlow = false;
  destroyed = false;
  writableLength = 0;

  write(chunk: string, done: (error?: Error) => void): boolean {
    const { error } = this;
    if (error) {
      queueMicrotask(() => done(error));
      this.emit("error", error);
      return false;
    }
    this.writes.push(chunk);
    if (this.isSlow) this.writableLength += chunk.length;
    queueMicrotask(done);
    return !this.isSlow;
  }

  resume(): void {
    this.isSlow = false;
    this.writableLength = 0;
  }
}

function open() {
  const stdout = new FakeStdout();
  const failures: Error[] = [];
  const recoveries: [lines: number, cause: DropCause][] = [];
  const output: LogOutput = new LogOutput({
    stdout: stdout as unknown as Writable,
    format: (line) => line.toUpperCase(),
    failed: (error) => void failures.push(error),
    recovered: (lines, cause) => {
      recoveries.push([lines, cause]);
      output.write(`${lines} lines dropped\n`);
    },
  });
  return { stdout, failures, recoveries, output };
}

describe("LogOutput", () => {
  test("writes formatted lines one by one, and the further lines of a turn together", async () => {
    const { stdout, output } = open();
    for (const line of ["a", "b", "c", "d", "e", "f"]) output.write(`${line}\n`);
    assert.deepEqual(stdout.writes, ["A\n", "B\n", "C\n", "D\n"]);
    await turn();
    assert.deepEqual(stdout.writes.slice(4), ["E\nF\n"]);
    assert.equal(output.droppedLines, 0);
  });

  test("drops and counts lines while the disk is full, and reports it in the first lines after it", async () => {
    const { stdout, failures, recoveries, output } = open();
    stdout.error = new Error("ENOSPC");
    for (let line = 0; line < 7; line++) output.write("lost\n");
    await turn();
    await turn();
    assert.equal(output.droppedLines, 7);
    assert.deepEqual(failures, [stdout.error]);
    stdout.error = undefined;
    output.write("first\n");
    await turn();
    output.write("second\n");
    assert.deepEqual(recoveries, [[7, "outputFailed"]]);
    // The disk may have the beginning of a line: the first one that is written again is a line of its own.
    assert.deepEqual(stdout.writes, ["\nFIRST\n", "7 LINES DROPPED\n", "SECOND\n"]);
    assert.equal(output.droppedLines, 7);
  });

  test("drops and counts lines beyond 16 MB that a slow reader has not read", async () => {
    const { stdout, failures, recoveries, output } = open();
    stdout.isSlow = true;
    const line = `${"x".repeat(999_999)}\n`;
    for (let lines = 0; lines < 20; lines++) output.write(line);
    const dropped = output.droppedLines;
    assert.ok(dropped >= 3 && dropped < 6, `${dropped} lines`);
    await turn();
    stdout.resume();
    await turn();
    output.write("end\n");
    assert.deepEqual([recoveries, failures], [[[dropped, "outputTooSlow"]], []]);
    await turn();
    assert.equal(stdout.writes.at(-1), `${dropped} LINES DROPPED\nEND\n`);
  });

  test("counts every line of an output that was closed", () => {
    const { stdout, output } = open();
    stdout.destroyed = true;
    for (let line = 0; line < 3; line++) output.write("lost\n");
    assert.equal(output.droppedLines, 3);
    assert.deepEqual(stdout.writes, []);
  });
});
