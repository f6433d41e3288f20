import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eagerClock, FakeClock } from "../support/clock.js";

describe("Clock of the test support", () => {
  test("time stands still until it is moved, and then both clocks move alike", () => {
    const clock = new FakeClock(1_000);
    assert.deepEqual([clock.now(), clock.monotonic()], [1_000, 0]);
    clock.advance(250);
    assert.deepEqual([clock.now(), clock.monotonic()], [1_250, 250]);
  });

  test("timers run in the order of their times, each at its own time, ties in order of creation", () => {
    const clock = new FakeClock();
    const ran: string[] = [];
    const run = (name: string) => () => ran.push(`${name}@${clock.monotonic()}`);
    clock.after(30, run("c"));
    clock.after(10, run("a"));
    clock.every(15, run("b"));
    clock.after(30, run("d"));
    clock.advance(30);
    assert.deepEqual(ran, ["a@10", "b@15", "c@30", "b@30", "d@30"]);
  });

  test("a timer that is started by a timer runs in the same advance when it comes due", () => {
    const clock = new FakeClock();
    const ran: number[] = [];
    clock.after(10, () => clock.after(5, () => ran.push(clock.monotonic())));
    clock.advance(14);
    assert.deepEqual(ran, []);
    clock.advance(1);
    assert.deepEqual(ran, [15]);
  });

  test("a timer of 0 ms waits for the next advance, even one of 0 ms", () => {
    const clock = new FakeClock();
    let ran = 0;
    clock.after(0, () => ran++);
    assert.equal(ran, 0);
    clock.advance(0);
    assert.equal(ran, 1);
  });

  test("a cancelled timer never runs, also when a timer before it cancels it", () => {
    const clock = new FakeClock();
    const ran: string[] = [];
    const cancelRepeated = clock.every(10, () => ran.push("repeated"));
    const cancelLater = clock.after(25, () => ran.push("later"));
    clock.after(20, () => {
      cancelRepeated();
      cancelLater();
      cancelLater();
    });
    assert.equal(clock.waiting, 3);
    clock.advance(100);
    assert.deepEqual(ran, ["repeated", "repeated"]);
    assert.equal(clock.waiting, 0);
  });

  test("setting the wall clock back moves no timer", () => {
    const clock = new FakeClock(50_000);
    let ran = 0;
    clock.after(10, () => ran++);
    clock.setNow(1_000);
    clock.advance(10);
    assert.equal(ran, 1);
    assert.equal(clock.now(), 1_010);
  });

  test("a repeated timer without an interval is a programmer's error", () => {
    assert.throws(() => new FakeClock().every(0, () => {}), TypeError);
  });

  // A clock that was only faster than the machine's ran out while the process waited for the processor: tests of the bus failed.
  test("an eager clock comes to the next timer only when nothing else is left to do, however long that took", async () => {
    const clock = eagerClock();
    const ran: string[] = [];
    clock.after(5_000, () => ran.push(`timeout@${clock.monotonic()}`));
    const cancel = clock.every(2_000, () => ran.push(`tick@${clock.monotonic()}`));
    for (const end = performance.now() + 20; performance.now() < end; ); // a stall
    for (let step = 0; step < 1000; step++) await Promise.resolve();
    assert.deepEqual(ran, []);
    await new Promise<void>((resolve) => void clock.after(6_500, resolve));
    cancel();
    assert.deepEqual(ran, ["tick@2000", "tick@4000", "timeout@5000", "tick@6000"]);
  });
});
