import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Canary } from "../../src/mongrel2/canary.js";
import { FakeClock } from "../support/clock.js";

const TARGETS = 4;

/** Streams 1 to `open`, of which Mongrel2 still has `alive`; messages and their notices pass when a fence does. */
function setUp(open: number, alive: readonly number[]) {
  const clock = new FakeClock();
  const clients = new Map(Array.from({ length: open }, (_, index) => [index + 1, { id: index + 1 }]));
  const asked: (readonly number[])[] = [];
  const fences: (() => void)[] = [];
  const canary = new Canary({
    clock,
    clients,
    maxTargets: TARGETS,
    keepAlive: (ids) => asked.push(ids),
    afterFence: (passed) => fences.push(passed),
  });
  for (const id of clients.keys()) canary.requestReceived(id);
  const pass = () => {
    for (const id of asked.at(-1) ?? []) if (!alive.includes(id)) clients.delete(id);
    fences.shift()?.();
  };
  const passAll = () => {
    while (fences.length > 0) pass();
  };
  return { clock, canary, clients, asked, fences, pass, passAll };
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

describe("Canary", () => {
  test("connections that are newer than all before are no reason to ask", () => {
    const { canary, asked } = setUp(10, []);
    canary.requestReceived(11);
    canary.requestReceived(12);
    assert.deepEqual(asked, []);
  });

  test("Mongrel2 has restarted: the highest numbers are asked first, and all are forgotten", () => {
    const { canary, clients, asked, passAll } = setUp(10, []);
    canary.requestReceived(1);
    passAll();
    assert.deepEqual(asked, [range(7, 10), range(3, 6), range(1, 2)]);
    assert.equal(clients.size, 0);
  });

  test("it is the same Mongrel2 and an old connection asks: one message, and nobody is forgotten", () => {
    const { canary, clients, asked, passAll } = setUp(10, range(1, 10));
    canary.requestReceived(3);
    passAll();
    assert.deepEqual(asked, [range(7, 10)]);
    assert.equal(clients.size, 10);
  });

  test("some numbers are taken again: the others are found all the same", () => {
    const { canary, clients, asked, passAll } = setUp(12, [1, 2, 9]);
    canary.requestReceived(1);
    passAll();
    assert.equal(asked.length, 3);
    assert.deepEqual([...clients.keys()], [1, 2, 9]);
  });

  test("a stream that begins meanwhile with the number of a dead one is not taken for it", () => {
    const { canary, clients, asked, fences } = setUp(8, []);
    canary.requestReceived(1);
    for (const id of range(5, 8)) clients.set(id, { id });
    fences.shift()?.();
    assert.deepEqual(asked, [range(5, 8), range(1, 4)]);
  });

  test("old connections that ask all the time cost one message a second", () => {
    const { canary, clock, asked, passAll } = setUp(10, range(1, 10));
    for (let look = 0; look < 30; look++) {
      canary.requestReceived(3);
      passAll();
      clock.advance(100);
    }
    assert.equal(asked.length, 3);
  });

  test("while an answer is outstanding nothing more is asked; after the end of the epoch it is asked again", () => {
    const { canary, clock, asked, fences } = setUp(10, []);
    canary.requestReceived(3);
    clock.advance(5000);
    canary.requestReceived(3);
    assert.equal(asked.length, 1);
    fences.length = 0;
    canary.reset();
    canary.requestReceived(9);
    canary.requestReceived(3);
    assert.equal(asked.length, 2);
  });

  test("where no stream is open there is nothing to ask for", () => {
    const { canary, asked, fences } = setUp(0, []);
    canary.requestReceived(5);
    canary.requestReceived(3);
    assert.deepEqual([asked, fences], [[], []]);
  });
});
