/** Validates a stream in memory against the messages that were taken from it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StreamValidator } from "../../src/cluster/stream-validator.js";
import { systemClock } from "../../src/util/clock.js";
import { FakeStream } from "./fake-stream.js";

/** Ten messages were taken from the stream; `validate` returns the resulting epoch and the number of rollbacks. */
async function taken() {
  const stream = new FakeStream();
  stream.make("first");
  for (let id = 1; id <= 10; id++) stream.add({ epoch: "first", key: "0", id: `${id}`, data: Buffer.from("x") });
  let rollBacks = 0;
  const validator = new StreamValidator({ clock: systemClock, newEpoch: () => "next", onRollback: () => rollBacks++ });
  for (const message of stream.messages) validator.noteTaken(message);
  const location = { epoch: "first", last: 10, stamp: stream.messages.at(-1)?.stamp ?? "" };
  const session = await stream.wire().dial();
  const validate = async () => [(await validator.validate(session, location)).epoch, rollBacks];
  return { stream, validator, validate };
}

describe("StreamValidator", () => {
  test("keeps the epoch of a stream that holds the taken messages", async () => {
    const { validate } = await taken();
    assert.deepEqual(await validate(), ["first", 0]);
  });

  test("detects a deposed leader's messages that the stream does not hold, although the newest is the same", async () => {
    const { stream, validate } = await taken();
    stream.exchange(5);
    assert.deepEqual(await validate(), ["next", 1]);
  });

  test("does not compare confirmed messages again, except for the newest", async () => {
    const { stream, validator, validate } = await taken();
    validator.confirm(7);
    stream.exchange(5);
    assert.deepEqual(await validate(), ["first", 0]);
    stream.exchange(10);
    assert.deepEqual(await validate(), ["next", 1]);
  });

  test("does not miss taken messages that were trimmed since", async () => {
    const { stream, validate } = await taken();
    stream.exchange(5);
    stream.purge(5);
    assert.deepEqual(await validate(), ["first", 0]);
    stream.exchange(10);
    stream.purge();
    assert.deepEqual(await validate(), ["first", 0]);
  });
});
