import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { systemClock, waitAtMost } from "../../src/util/clock.js";
import { FakeClock } from "../support/clock.js";

const after = (ms: number) => new Promise<void>((resolve) => systemClock.after(ms, resolve));

describe("Clock", () => {
  test("every process counts from the same moment, that of the machine's start", () => {
    const ask = `import { systemClock } from ${JSON.stringify(fileURLToPath(new URL("../../src/util/clock.js", import.meta.url)))};
    console.log(systemClock.monotonic());`;
    const before = systemClock.monotonic();
    const there = Number(execFileSync(process.execPath, ["--input-type=module", "-e", ask], { encoding: "utf8" }));
    const now = systemClock.monotonic();
    assert.ok(before <= there && there <= now, `${before} ${there} ${now}`);
  });

  test("a timer runs once, a repeated one again and again, until it is cancelled; cancelling twice does nothing", async () => {
    const ran: string[] = [];
    const never = systemClock.after(0, () => ran.push("never"));
    never();
    never();
    await new Promise<void>((resolve) => {
      const cancel = systemClock.every(1, () => {
        ran.push("again");
        if (ran.length < 3) return;
        cancel();
        resolve();
      });
    });
    await after(5);
    assert.deepEqual(ran, ["again", "again", "again"]);
  });

  test("monotonic time rises over a wait by at least the wait", async () => {
    const before = systemClock.monotonic();
    await after(20);
    assert.ok(systemClock.monotonic() - before >= 19);
  });

  test("atMost is over when what it waits for is, by success or by failure, and leaves no timer", async () => {
    const clock = new FakeClock();
    await waitAtMost(clock, 1000, Promise.resolve("done"));
    await waitAtMost(clock, 1000, Promise.reject(new Error("failed")));
    assert.equal(clock.waiting, 0);
  });

  test("waitAtMost ends at its time, and ignores a later result", async () => {
    const clock = new FakeClock();
    let fail: (error: Error) => void = () => {};
    const waited = waitAtMost(clock, 1000, new Promise((_, reject) => (fail = reject)));
    clock.advance(999);
    let isOver = false;
    void waited.then(() => (isOver = true));
    await new Promise(setImmediate);
    assert.equal(isOver, false);
    clock.advance(1);
    await waited;
    fail(new Error("late"));
    await new Promise(setImmediate);
  });
});
