import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { JetStreamApiError } from "@nats-io/jetstream";
import { retryWithoutLeader } from "../../src/cluster/retry-without-leader.js";
import { FakeClock } from "../support/clock.js";

const NO_LEADER = new JetStreamApiError({
  code: 503,
  err_code: 10008,
  description: "JetStream system temporarily unavailable",
});

/** A request that fails with the errors in turn, the last one for ever, and succeeds once they are used up. */
function start(errors: readonly Error[], isEndless = false) {
  const clock = new FakeClock();
  let requests = 0;
  const result = retryWithoutLeader(clock, async () => {
    const error = errors[isEndless ? 0 : requests];
    requests++;
    if (error) throw error;
    return "message";
  });
  const outcome = result.then(
    (value) => value,
    (error: Error) => error,
  );
  /** Lets time pass in the steps of its timer. */
  const pass = async (milliseconds: number) => {
    for (let passed = 0; passed < milliseconds; passed += 100) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      clock.advance(100);
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return { clock, outcome, pass, requests: () => requests };
}

describe("retryWithoutLeader", () => {
  test("repeats a request that a server without a leader refused", async () => {
    const { outcome, pass, requests } = start([NO_LEADER, NO_LEADER]);
    await pass(200);
    assert.equal(await outcome, "message");
    assert.equal(requests(), 3);
  });

  test("rejects with the refusal when no leader is known for longer than two elections take", async () => {
    const { outcome, pass, clock } = start([NO_LEADER], true);
    await pass(20_000);
    assert.equal(await outcome, NO_LEADER);
    assert.equal(clock.waiting, 0);
  });

  test("rejects at once with any other error", async () => {
    const notFound = new JetStreamApiError({ code: 404, err_code: 10037, description: "no message found" });
    for (const error of [notFound, new Error("timeout")]) {
      const { outcome, requests } = start([error]);
      assert.equal(await outcome, error);
      assert.equal(requests(), 1);
    }
  });
});
