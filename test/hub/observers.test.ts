import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "../../src/errors.js";
import { combineObservers, type DaemonObserver } from "../../src/hub/observers.js";
import { CLIENT, publication } from "../observability/metrics/harness.js";

const error = new ProtocolError("invalid", "x");

/** One call of everything that can be told. */
const CALLS: { readonly [Name in keyof DaemonObserver]: Parameters<DaemonObserver[Name]> } = {
  connected: ["main", CLIENT, 1],
  disconnected: ["main", CLIENT, "left", 0],
  adopted: ["main", CLIENT, 1],
  published: [publication(1)],
  repeatedId: ["news"],
  flushed: ["main", { bodies: 1, frames: 1, bytes: 1, deliveries: 1, oldest: undefined }],
  gap: ["main", "expired"],
  serverLive: ["main", 1],
  serverLost: ["main", "why"],
  recovered: ["main", { adopted: 1, cancelled: 0, gone: 0, proven: true }],
  controlFailed: ["main", error],
  orphansClosed: ["main", 3, "exclusive"],
  wrongIdent: ["main", "a", "b"],
  malformed: ["main", error],
  publicationRejected: ["zmq", error],
  peerRefused: ["tcp://127.0.0.1:9997", error, "127.0.0.1:50000"],
  connectionBroken: [error],
  fencePassed: ["main", 1],
  stale: ["main", 1],
  answered: ["main", "/esupdates", 401, "no token"],
};

/** Writes down what it is told; its methods need their `this`, as those of a class do. */
function scribe(told: unknown[][], who: string): DaemonObserver {
  const methods = Object.keys(CALLS).map((name) => [
    name,
    function (this: { who: string }, ...args: unknown[]) {
      told.push([this.who, name, ...args]);
    },
  ]);
  return Object.assign(Object.fromEntries(methods), { who });
}

test("everything is told to both, first to the first, with everything that was said", () => {
  const told: unknown[][] = [];
  const joined = combineObservers(scribe(told, "first"), scribe(told, "second"), (error) => assert.fail(String(error)));
  for (const [name, args] of Object.entries(CALLS)) {
    (joined[name as keyof DaemonObserver] as (...args: unknown[]) => void)(...args);
    assert.deepEqual(told.splice(0), [
      ["first", name, ...args],
      ["second", name, ...args],
    ]);
  }
});

test("an observer that throws keeps nothing from the other one, or from what is told of", () => {
  const told: unknown[][] = [];
  const failures: unknown[] = [];
  const mistake = new TypeError("a mistake");
  const broken = Object.fromEntries(
    Object.keys(CALLS).map((name) => [
      name,
      () => {
        throw mistake;
      },
    ]),
  ) as unknown as DaemonObserver;
  const failed = (error: unknown) => failures.push(error);
  for (const joined of [
    combineObservers(broken, scribe(told, "other"), failed),
    combineObservers(scribe(told, "other"), broken, failed),
  ]) {
    for (const [name, args] of Object.entries(CALLS)) {
      (joined[name as keyof DaemonObserver] as (...args: unknown[]) => void)(...args);
      assert.deepEqual(told.splice(0), [["other", name, ...args]]);
      assert.deepEqual(failures.splice(0), [mistake]);
    }
  }
});
