import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ClusterHistory } from "../../src/cluster/cluster-history.js";
import { encodeStreamRecord } from "../../src/cluster/stream-record.js";
import type { StreamMessage, StreamSession, StreamState } from "../../src/cluster/stream-session.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { FakeClock } from "../support/clock.js";

const ALL = { through: 10, maxBytes: 1e9 };
const message = (sequence: number): StreamMessage => {
  const data = encodeStreamRecord({ topics: ["t"], data: `${sequence}`, private: false });
  return { sequence, epoch: "e", stamp: "0", data };
};
const messages = Array.from({ length: 10 }, (_, at) => message(at + 1));
const state: StreamState = {
  epoch: "e",
  first: 1,
  last: 10,
  count: 10,
  bytes: 100,
  followers: 0,
  leader: "",
  differs: undefined,
};

/** A history of which only the stream has anything, and a connection whose answers a test gives. */
function opened(answers: Partial<StreamSession>) {
  const clock = new FakeClock();
  const bounds = { maxEvents: 100, maxAge: 1e12, maxBytes: 1e12 };
  const tail = (from: { epoch: string; last: number }) => new MemoryHistory(bounds, clock, from);
  const history = new ClusterHistory({ clock, tail, onForeignMessage: () => assert.fail("no message is foreign") });
  history.startEpoch("e", 10);
  history.setBase(0);
  history.connect({ ...answers } as StreamSession);
  return { history, clock };
}

/** Reads from offset 5 on when there is a connection. */
function later(history: ClusterHistory, answers: Partial<StreamSession>) {
  const page = history.read(5, ALL);
  history.connect({ ...answers } as StreamSession);
  return page;
}

async function passes(clock: FakeClock): Promise<void> {
  for (let turn = 0; turn < 10; turn++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    clock.advance(100);
  }
}

describe("ClusterHistory", () => {
  test("rejects a read that a connection which lasts cannot answer, and answers the next one", async () => {
    let isBroken = true;
    const read = async () => (isBroken ? Promise.reject(new Error("no leader")) : messages);
    const { history, clock } = opened({ read, inspect: async () => state });
    const [failed] = await Promise.all([assert.rejects(async () => history.read(0, ALL), /no leader/), passes(clock)]);
    assert.equal(failed, undefined);
    isBroken = false;
    assert.equal((await history.read(0, ALL)).publications.length, 10);
  });

  test("asks the stream for the newest of equal ids, unless the tail has one", async () => {
    const asked: unknown[] = [];
    const find = async (...what: unknown[]) => {
      asked.push(what.at(-1));
      return what.at(-1) === "newest" ? 7 : 3;
    };
    const { history } = opened({ find });
    const told: string[] = [];
    history.onRepeatedId((topic) => told.push(topic));
    assert.deepEqual([await history.find("urn:own"), await history.find("urn:own", "newest")], [3, 7]);
    const event = { id: "urn:own", topics: ["t"], private: false, time: 0, bytes: Buffer.from("data: x\n\n") };
    history.append({ ...event, offset: 11 });
    history.append({ ...event, offset: 12 });
    assert.deepEqual([await history.find("urn:own"), history.find("urn:own", "newest")], [3, 12]);
    assert.deepEqual([asked, told], [["oldest", "newest", "oldest"], ["t"]]);
  });

  test("reads in the next connection what the last one could not answer any more", async () => {
    const { history, clock } = opened({ read: () => Promise.reject(new Error("connection closed")) });
    const page = history.read(0, ALL);
    await new Promise<void>((resolve) => setImmediate(resolve));
    history.connect(undefined);
    await passes(clock);
    history.connect({ read: async () => messages, inspect: async () => state } as unknown as StreamSession);
    assert.equal((await page).publications.length, 10);
  });

  test("counts events neither as trimmed nor as read while the stream does not answer", async () => {
    const holed = messages.slice(5);
    const { history, clock } = opened({ read: async () => holed, inspect: () => Promise.reject(new Error("timeout")) });
    await Promise.all([assert.rejects(async () => history.read(0, ALL), /timeout/), passes(clock)]);
  });

  test("tells every reader of a range that its beginning was trimmed, also one that another reader's range is shown to", async () => {
    const isTrimmed = { ...state, first: 6, count: 5 };
    const find = async () => undefined;
    const { history } = opened({ read: async () => messages.slice(5), inspect: async () => isTrimmed, find });
    history.connect(undefined); // its state is that of before
    const { publications } = await later(history, {
      read: async () => messages.slice(5),
      inspect: async () => isTrimmed,
      find,
    });
    assert.equal(publications[0]?.offset, 6);
    assert.deepEqual([history.floor, await history.read(2, ALL)], [5, { publications: [], through: 2 }]);
  });

  test("rejects a look-up that the connection cannot answer", async () => {
    const { history } = opened({ find: () => Promise.reject(new Error("no leader")) });
    await assert.rejects(async () => history.find("urn:own"), /no leader/);
  });
});
