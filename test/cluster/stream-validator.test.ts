/** What a survey finds of what was taken: over a stream in memory that is asked directly. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamValidator } from "../../src/cluster/stream-validator.js";
import { systemClock } from "../../src/util/clock.js";
import { FakeStream } from "./fake-stream.js";

/** Ten messages were taken from the stream; `of` surveys it for whoever has taken them. */
async function taken() {
  const stream = new FakeStream();
  stream.make("first");
  for (let id = 1; id <= 10; id++) stream.add({ epoch: "first", key: "0", id: `${id}`, data: Buffer.from("x") });
  let rollBacks = 0;
  const survey = new StreamValidator({ clock: systemClock, newEpoch: () => "next", onRollback: () => rollBacks++ });
  for (const message of stream.messages) survey.noteTaken(message);
  const place = { epoch: "first", last: 10, stamp: stream.messages.at(-1)?.stamp ?? "" };
  const session = await stream.wire().dial();
  const of = async () => [(await survey.validate(session, place)).epoch, rollBacks];
  return { stream, survey, of };
}

test("a stream that holds what was taken is the same", async () => {
  const { of } = await taken();
  assert.deepEqual(await of(), ["first", 0]);
});

test("a deposed leader that had sent what the stream does not hold is found out, though the newest is the same", async () => {
  const { stream, of } = await taken();
  stream.exchange(5);
  assert.deepEqual(await of(), ["next", 1]);
});

test("what came from the stream's leader is not compared again, but for the newest", async () => {
  const { stream, survey, of } = await taken();
  survey.confirm(7);
  stream.exchange(5);
  assert.deepEqual(await of(), ["first", 0]);
  stream.exchange(10);
  assert.deepEqual(await of(), ["next", 1]);
});

test("what was taken and has been trimmed since is not missed", async () => {
  const { stream, of } = await taken();
  stream.exchange(5);
  stream.purge(5);
  assert.deepEqual(await of(), ["first", 0]);
  stream.exchange(10);
  stream.purge();
  assert.deepEqual(await of(), ["first", 0]);
});
