import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EventListeners } from "../../src/daemon/event-listeners.js";

const LOST = { type: "zmqConnectionLost", error: new Error("lost") } as never;
const PUBLISHED = { type: "published" } as never;

describe("EventListeners", () => {
  test("calls the listeners of an event's type in order, also one that is registered twice", () => {
    const calls: string[] = [];
    const listeners = new EventListeners(() => assert.fail("no listener throws"));
    const twice = () => calls.push("twice");
    listeners.on("zmqConnectionLost", () => calls.push("first"));
    listeners.on("zmqConnectionLost", twice);
    listeners.on("zmqConnectionLost", twice);
    listeners.on("published", () => calls.push("published"));
    listeners.observe(LOST);
    assert.deepEqual(calls, ["first", "twice", "twice"]);
    listeners.observe(PUBLISHED);
    assert.equal(calls.at(-1), "published");
  });

  test("stops calling a removed listener, and only that one", () => {
    const calls: string[] = [];
    const listeners = new EventListeners(() => assert.fail("no listener throws"));
    const removeA = listeners.on("zmqConnectionLost", () => calls.push("a"));
    const removeB = listeners.on("zmqConnectionLost", () => calls.push("b"));
    removeA();
    removeA();
    listeners.observe(LOST);
    removeB();
    listeners.observe(LOST);
    listeners.on("zmqConnectionLost", () => calls.push("c"));
    removeB();
    listeners.observe(LOST);
    assert.deepEqual(calls, ["b", "c"]);
  });

  test("reports what a listener throws and calls the others", () => {
    const failures: unknown[] = [];
    const calls: string[] = [];
    const listeners = new EventListeners((error) => failures.push(error));
    const error = new Error("a mistake");
    listeners.on("zmqConnectionLost", () => {
      throw error;
    });
    listeners.on("zmqConnectionLost", () => calls.push("second"));
    listeners.observe(LOST);
    assert.deepEqual([failures, calls], [[error], ["second"]]);
  });
});
