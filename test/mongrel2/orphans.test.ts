import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Orphan, PreviousRequests } from "../../src/delivery/request-record.js";
import { Orphans, orphanKind } from "../../src/mongrel2/orphans.js";
import type { NetRow } from "../../src/protocol/control-protocol.js";
import { FileRequestRecord } from "../../src/storage/clients/file-request-record.js";

const row = (id: number, more: Partial<NetRow> = {}): NetRow => ({
  id,
  fd: 10 + id,
  type: 1,
  lastPing: 0,
  lastRead: 20,
  lastWrite: 20,
  bytesRead: 200,
  bytesWritten: 500,
  ...more,
});

const NOW = 1_000_000;
const previous = (more: Partial<PreviousRequests> = {}): PreviousRequests => ({
  highest: 100,
  unanswered: new Set(),
  kept: new Set([50]),
  cleanStop: false,
  ...more,
});
const died = { aliveAt: NOW - 5000, isMissing: false };
const missing = { aliveAt: 0, isMissing: true };

describe("Rule R4, for requests that a kill lost", () => {
  test("suspects connections newer than any that was read, without an answer since their last request", () => {
    assert.equal(orphanKind(row(101), NOW, previous(), died), "request", "within one step of the clock");
    assert.equal(orphanKind(row(101, { bytesWritten: 0, lastWrite: 0 }), NOW, previous(), died), "request");
    assert.equal(orphanKind(row(101, { lastRead: 3, lastWrite: 9 }), NOW, previous(), died), "request");
    assert.equal(orphanKind(row(101, { lastRead: 9, lastWrite: 3 }), NOW, previous(), died), undefined, "answered");
  });

  test("suspects connections that we had answered and kept, whose next request came around the death", () => {
    const asked = { lastRead: 6, lastWrite: 9 };
    assert.equal(orphanKind(row(50, asked), NOW, previous(), died), "request");
    assert.equal(orphanKind(row(51, asked), NOW, previous(), died), undefined, "another application's");
    assert.equal(orphanKind(row(50, { lastRead: 60, lastWrite: 60 }), NOW, previous(), died), undefined, "long ago");
    assert.equal(orphanKind(row(50, { lastRead: 6, lastWrite: 2 }), NOW, previous(), died), undefined, "answered");
  });

  test("suspects nobody after a clean stop, or where nothing is known of the requests", () => {
    assert.equal(orphanKind(row(101), NOW, previous({ cleanStop: true }), died), undefined);
    assert.equal(orphanKind(row(101), NOW, undefined, died), undefined);
  });
});

describe("Rule S1, for streams whose record is missing", () => {
  test("suspects connections that were answered, only where the record is missing", () => {
    const stream = row(7, { lastRead: 30, lastWrite: 3 });
    assert.equal(orphanKind(stream, NOW, undefined, missing), "stream");
    assert.equal(orphanKind(stream, NOW, undefined, died), undefined);
    assert.equal(orphanKind(row(7, { bytesWritten: 0 }), NOW, undefined, missing), undefined, "waits for its answer");
    assert.equal(orphanKind(row(7, { lastRead: 3, lastWrite: 30 }), NOW, undefined, missing), undefined, "so does it");
  });
});

function setUp(timeoutMs = 60_000, inherited: readonly Orphan[] = [], left?: PreviousRequests) {
  const requests = new FileRequestRecord({
    folder: undefined,
    server: "main",
    boot: "",
    monotonic: () => 0,
    cleanStop: false,
    onWrite() {},
  });
  requests.keepOrphans(inherited);
  if (left) Object.defineProperty(requests, "previous", { value: left });
  const cancelled: number[] = [];
  const taken = new Set<number>();
  const isTaken = (id: number) => taken.has(id);
  const orphans = new Orphans({ requests, isTaken, cancel: (ids) => cancelled.push(...ids), timeoutMs });
  return { orphans, requests, cancelled, taken };
}

const NONE: ReadonlySet<number> = new Set();
const silent = (id: number, more: Partial<NetRow> = {}) => row(id, { lastRead: 30, lastWrite: 3, ...more });

describe("Orphans", () => {
  test("are closed when no byte has moved for the time-out, and not when one has", () => {
    const { orphans, requests, cancelled, taken } = setUp();
    const rows = [silent(1), silent(2), silent(3), silent(4), silent(-1), silent(5, { type: 3 })];
    orphans.firstLook(rows, NOW, { ...missing, undecided: NONE });
    assert.deepEqual(
      requests.orphans.map(({ id }) => id),
      [1, 2, 3, 4],
      "kept for the next process",
    );
    assert.equal(orphans.nextDue, NOW + 60_000);
    taken.add(3);
    const later = [silent(1), silent(2, { bytesWritten: 501 }), silent(3), silent(6)];
    orphans.review(later, NOW + 59_999);
    assert.deepEqual(cancelled, []);
    orphans.review(later, NOW + 60_000);
    assert.deepEqual(cancelled, [1], "2 is somebody's, 3 is ours, 4 is gone, 6 came later");
    assert.equal(orphans.count, 0);
    assert.deepEqual(requests.orphans, []);
  });

  test("of a kill are closed on an exclusive Mongrel2, also when the process after the kill stopped cleanly before it decided", () => {
    const inherited: Orphan = { id: 50, kind: "request", quietSince: NOW, bytesRead: 200, bytesWritten: 500 };
    const { orphans, cancelled } = setUp(60_000, [inherited], previous({ kept: new Set([50, 51]), cleanStop: true }));
    const rows = [row(50), row(51)];
    orphans.firstLook(rows, NOW, { ...died, undecided: NONE });
    orphans.closeExclusive(rows);
    assert.deepEqual(cancelled, [50], "51 is kept open, and idle");
  });

  test("of an earlier process keep the time that they have waited, so that kills in a row leave nobody hanging", () => {
    const orphan = (id: number): Orphan => ({
      id,
      kind: "request",
      quietSince: NOW - 50_000,
      bytesRead: 200,
      bytesWritten: 500,
    });
    const { orphans, cancelled } = setUp(60_000, [orphan(1), orphan(2)]);
    const rows = [row(1), row(2, { bytesRead: 201 })];
    orphans.firstLook(rows, NOW, { ...died, undecided: NONE });
    assert.equal(orphans.count, 1);
    orphans.review(rows, NOW + 10_000);
    assert.deepEqual(cancelled, [1]);
  });

  test("are never those whose client may yet be adopted", () => {
    const { orphans } = setUp();
    orphans.firstLook([silent(1), silent(2)], NOW, { ...missing, undecided: new Set([1]) });
    assert.equal(orphans.count, 1);
  });

  test("with time-out 0 are never closed", () => {
    const { orphans, cancelled } = setUp(0);
    orphans.firstLook([silent(1)], NOW, { ...missing, undecided: NONE });
    orphans.review([silent(1)], NOW + 1e9);
    assert.deepEqual(cancelled, []);
    assert.equal(orphans.count, 1);
    assert.equal(orphans.nextDue, undefined);
  });
});
