/** Which messages of the oldest were trimmed and which were removed, also when several daemons remove them at the same time. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eraseRemoved } from "../../src/cluster/erase-removed.js";
import { findMark, findRemovedId, floorBefore, readRemovals } from "../../src/cluster/removal-notes.js";
import { encodeStreamRecord, encodeStreamRemoval, keyOf, REMOVALS_KEY } from "../../src/cluster/stream-record.js";
import type { StreamSession } from "../../src/cluster/stream-session.js";
import { RemovalSet } from "../../src/delivery/removals.js";
import type { Removal } from "../../src/protocol/removal.js";
import { FakeStream } from "./fake-stream.js";

const epoch = "e";

async function opened(count: number, maxEvents?: number) {
  const stream = new FakeStream(maxEvents);
  stream.make(epoch);
  const session = await stream.wire().dial();
  let ids = 0;
  const newId = () => `message ${++ids}`;
  const send = (key: string, data: Buffer) => session.send({ epoch, key, id: newId(), data });
  const publish = (topic: string, id?: string) =>
    send(keyOf(id), encodeStreamRecord({ topics: [topic], data: "x", private: false, ...(id && { id }) }));
  for (let at = 1; at <= count; at++)
    await publish(at <= count / 2 ? "old" : "new", at % 20 === 0 ? `own ${at}` : undefined);
  const remove = async (removal: Removal) => {
    const record = await send(REMOVALS_KEY, encodeStreamRemoval(removal, epoch));
    return RemovalSet.of((await readRemovals(session, epoch, record)).records);
  };
  const erase = (removals: RemovalSet) => eraseRemoved({ session, epoch, removals, newId });
  const floor = async () => {
    const first = (await session.find(epoch)) ?? 0;
    return floorBefore(first, (await findMark(session, epoch)).mark);
  };
  const offsets = () => stream.messages.map(({ sequence }) => sequence);
  return { stream, session, publish, remove, erase, floor, offsets };
}

const assertUnapplied = async (session: StreamSession, expected: number) =>
  assert.equal((await readRemovals(session, epoch, Number.MAX_SAFE_INTEGER)).records.length, expected);

describe("eraseRemoved", () => {
  test("leaves the floor where it is when the oldest are removed, in several chunks, and moves it when others are trimmed", async () => {
    const { stream, session, remove, erase, floor, offsets } = await opened(4800);
    const removals = await remove({ topic: "old", through: 4800 });
    await assertUnapplied(session, 1);
    await erase(removals);
    await assertUnapplied(session, 0);
    assert.deepEqual([offsets()[0], await floor()], [2401, 0]);
    assert.deepEqual(await findRemovedId(session, epoch, "own 20"), { oldest: 20, newest: 20 });
    stream.purge(3000);
    assert.equal(await floor(), 3000);
  });

  test("two at the same time, of which each sees what the other has erased, keep the floor", async () => {
    const { session, remove, erase, floor, offsets } = await opened(4800);
    const first = await remove({ topic: "old", through: 4800 });
    const both = await remove({ topic: "new", through: 4800 });
    await Promise.all([erase(both), erase(first), erase(both)]);
    assert.equal(await floor(), 0);
    assert.equal(offsets()[0], 4801, "the first record");
    await assertUnapplied(session, 0);
  });

  test("counts what the stream trims meanwhile as trimmed", async () => {
    const { stream, session, remove, erase, floor } = await opened(3000);
    const removals = await remove({ topic: "old", through: 3000 });
    const read = session.read.bind(session);
    let reads = 0;
    session.read = async (after, through) => {
      const messages = await read(after, through);
      if (through - after > 1 && ++reads === 2) stream.purge(700);
      return messages;
    };
    await erase(removals);
    assert.equal(await floor(), 700);
  });
});
