import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PendingConnections } from "../../src/delivery/pending-connections.js";

/** A promise that a test resolves. */
function deferred() {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

describe("PendingConnections", () => {
  test("continue after their operation, and are forgotten then", async () => {
    const pending = new PendingConnections();
    const { promise, resolve } = deferred();
    const result = pending.continueAfter(1, promise, () => "opened");
    assert.equal(pending.size, 1);
    resolve();
    assert.deepEqual([await result, pending.size], ["opened", 0]);
  });

  test("do not continue when the connection is gone by then, however many operations it has", async () => {
    const pending = new PendingConnections();
    const { promise, resolve } = deferred();
    const results = [1, 2].map(() => pending.continueAfter(1, promise, () => "opened"));
    pending.gone(1);
    resolve();
    assert.deepEqual([await Promise.all(results), pending.size], [[undefined, undefined], 0]);
  });

  test("do not confuse a connection with a later one of the same id", async () => {
    const pending = new PendingConnections();
    const [first, second] = [deferred(), deferred()];
    const early = pending.continueAfter(1, first.promise, () => "early");
    pending.clear();
    const late = pending.continueAfter(1, second.promise, () => "late");
    first.resolve();
    assert.equal(await early, undefined);
    second.resolve();
    assert.deepEqual([await late, pending.size], ["late", 0]);
  });

  test("are forgotten when their operation fails", async () => {
    const pending = new PendingConnections();
    const failure = new Error("no answer");
    await assert.rejects(
      pending.continueAfter(1, Promise.reject(failure), () => assert.fail("continued")),
      failure,
    );
    assert.equal(pending.size, 0);
  });
});
