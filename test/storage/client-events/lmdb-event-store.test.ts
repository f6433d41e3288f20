import assert from "node:assert/strict";
import { truncateSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { openEventStore } from "../../../src/storage/client-events/open-event-store.js";
import { Conditions } from "../../../src/util/conditions.js";
import { eventStores, turn } from "../../support/event-store.js";

const event = (json: string, time = 5) => ({ kind: "connect", time, json }) as const;
const sequences = (events: Iterable<{ sequence: number }>) => [...events].map(({ sequence }) => sequence);

describe("LmdbEventStore", () => {
  test("reads events in order, before and after they are written, and in the next process", async (t) => {
    const { open } = eventStores(t);
    const store = await open();
    assert.equal(store.append(event('{"a":1}')), 1);
    assert.deepEqual(sequences(store.read(0)), [1]);
    assert.ok(store.commit());
    store.append({ kind: "gap", time: 7, json: '{"ä":2}' });
    // Written and unwritten ones, in the turn of the commit.
    assert.deepEqual(sequences(store.read(0)), [1, 2]);
    const { epoch } = store;
    const next = await open();
    assert.equal(next.epoch, epoch);
    assert.equal(next.last, 2);
    assert.deepEqual([...next.read(1)], [{ sequence: 2, kind: "gap", time: 7, json: '{"ä":2}' }]);
    assert.equal(next.append(event("{}")), 3);
  });

  test("removes events, and never gives a sequence again", async (t) => {
    const { open } = eventStores(t);
    const store = await open();
    for (let number = 0; number < 5000; number++) store.append(event(`{"n":${number}}`));
    store.trim(4998);
    store.commit();
    assert.deepEqual(sequences(store.read(0)), [4999, 5000]);
    store.trim(5000);
    const next = await open();
    assert.deepEqual([next.last, next.floor, sequences(next.read(0))], [5000, 5000, []]);
    assert.equal(next.append(event("{}")), 5001);
  });

  test("keeps sessions and positions of webhooks for the next process", async (t) => {
    const { open } = eventStores(t);
    const store = await open();
    const session = { id: "s", server: "main", connection: 1, visitor: "v" };
    store.putSession(session);
    store.putSession({ ...session, id: "t" });
    store.removeSession("t");
    store.setPosition("one", { through: 3, batchThrough: 4 });
    store.setPosition("two", { through: 1 });
    const next = await open();
    assert.deepEqual([...next.storedSessions()], [session]);
    assert.deepEqual(next.position("one"), { through: 3, batchThrough: 4 });
    next.keepPositions(["one"]);
    const third = await open();
    assert.equal(third.position("two"), undefined);
    assert.ok(third.position("one"));
  });

  test("tells which events are too old by the time that has passed", async (t) => {
    const { open, clock } = eventStores(t, 10_000);
    const store = await open();
    store.append(event("{}", clock.now()));
    clock.advance(8000);
    store.append(event("{}", clock.now()));
    assert.equal(store.expiredThrough(), 0);
    clock.advance(4000);
    assert.equal(store.expiredThrough(), 1);
  });

  test("repeats a failed write after a pause; visitors who come and go meanwhile leave nothing in memory", async (t) => {
    const { open, file, clock, errors } = eventStores(t);
    const store = await open();
    store.commit();
    truncateSync(file, 0);
    const session = { id: "s", server: "main", connection: 1, visitor: "v" };
    store.putSession(session);
    assert.equal(store.commit(), false);
    await turn();
    assert.equal(errors.length, 1);
    clock.advance(500);
    assert.equal(errors.length, 2);
    store.removeSession(session.id);
    assert.ok(store.commit());
  });

  test("of a file that was truncated nothing is read, and nothing throws", async (t) => {
    const { open, file } = eventStores(t);
    const store = await open();
    store.append(event("{}"));
    store.commit();
    truncateSync(file, 0);
    store.append(event("{}"));
    assert.equal(store.commit(), false);
    assert.deepEqual(sequences(store.read(0)), [2]);
  });

  test("a damaged file is moved aside and reported", async (t) => {
    const { folder, file, clock } = eventStores(t);
    writeFileSync(file, Buffer.alloc(20_000, 7));
    const warnings: string[] = [];
    const conditions = new Conditions(clock, () => {});
    const warn = (warning: string) => warnings.push(warning);
    const store = await openEventStore({ folder, maxAge: 1000, clock, conditions, warn });
    assert.equal(store.append(event("{}")), 1);
    await store.close();
    assert.match(warnings.join(), /client-events\.mdb\.unreadable; they are lost$/);
  });

  test("a folder that cannot be used is an error with its fix", async (t) => {
    const { file, clock } = eventStores(t);
    writeFileSync(file, "not a folder");
    const conditions = new Conditions(clock, () => {});
    const options = { folder: file, maxAge: 1000, clock, conditions, warn() {} };
    await assert.rejects(openEventStore(options), { code: "storage_unusable", message: /fix: make .* writable/ });
  });
});
