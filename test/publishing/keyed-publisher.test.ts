import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LocalBus } from "../../src/cluster/local-bus.js";
import { M2pushError } from "../../src/errors.js";
import { positionId } from "../../src/protocol/position.js";
import type { Draft, Publication } from "../../src/protocol/publication.js";
import { fingerprintOf, hashKey } from "../../src/publishing/hash-key.js";
import type { PublishRequest } from "../../src/publishing/publish-request.js";
import { Publisher } from "../../src/publishing/publisher.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { FakeClock } from "../support/clock.js";

const draft = (data: string, key?: string): Draft => ({
  ...{ topics: ["t"], data, private: false },
  ...(key !== undefined && { key }),
});

/** A publisher over a history in memory. Events are acknowledged when the test says so, where it holds them. */
async function setUp() {
  const clock = new FakeClock();
  const history = new MemoryHistory({ maxEvents: 100, maxAge: 1e12, maxBytes: 1e12 }, clock);
  const bus = new LocalBus(history, clock);
  const published: string[] = [];
  let held: PromiseWithResolvers | undefined;
  let failure: Error | undefined;
  await bus.start((publications: readonly Publication[]) => {
    if (failure) throw failure;
    for (const publication of publications) {
      history.append(publication);
      published.push(/data: (.*)/.exec(publication.bytes.toString())?.[1] ?? "");
    }
    return held?.promise;
  });
  let repeats = 0;
  const publisher = new Publisher({ hub: bus, keys: history, repeated: () => repeats++ });
  return {
    history,
    published,
    clock,
    repeats: () => repeats,
    send: (drafts: readonly Draft[], more: Partial<PublishRequest> = {}) =>
      publisher.publish({ drafts, publisher: "me", ...more }),
    hold: () => {
      held = withResolvers();
      return held;
    },
    fail: (error: Error | undefined) => {
      failure = error;
    },
    id: (offset: number) => ({ id: positionId(history.epoch, offset) }),
  };
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

function withResolvers(): PromiseWithResolvers {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((done, fail) => {
    resolve = done;
    reject = fail;
  });
  return { promise, resolve, reject };
}

const idsOf = (results: readonly object[]) => results.map((it) => ("id" in it ? { id: it.id } : it));
const KEY_REUSED = { code: "key_reused" };

describe("KeyedPublisher", () => {
  test("answers the repeat of a request with its first ids, and publishes nothing", async () => {
    const { send, published, id, repeats } = await setUp();
    const batch = [draft("a"), { ...draft("b"), id: "mine" }, draft("c")];
    const first = await send(batch, { key: "k" });
    assert.deepEqual(idsOf(first), [id(1), { id: "mine" }, id(3)]);
    assert.deepEqual(idsOf(await send(batch, { key: "k" })), idsOf(first));
    assert.deepEqual([published, repeats()], [["a", "b", "c"], 1]);
  });

  // The last of the 22 characters had 4 bits that the file did not store: each repeat after a restart was answered 422.
  test("a hash and a fingerprint are 16 bytes, and their text is the one that the bytes have", () => {
    for (let key = 0; key < 100; key++) {
      for (const hash of [hashKey("event", "me", `${key}`), fingerprintOf([draft(`${key}`)])]) {
        assert.equal(Buffer.from(hash, "base64url").length, 16);
        assert.equal(Buffer.from(hash, "base64url").toString("base64url"), hash);
      }
    }
  });

  test("rejects another body under the same key", async () => {
    const { send, published } = await setUp();
    await send([draft("a")], { key: "k" });
    await assert.rejects(send([draft("b")], { key: "k" }), KEY_REUSED);
    await assert.rejects(send([draft("a"), draft("a")], { key: "k" }), KEY_REUSED);
    await assert.rejects(send([{ ...draft("a"), private: true }], { key: "k" }), KEY_REUSED);
    await assert.rejects(send([{ ...draft("a"), ttlMs: 5 }], { key: "k" }), KEY_REUSED);
    await assert.rejects(send([{ ...draft("a"), final: true }], { key: "k" }), KEY_REUSED);
    assert.deepEqual(published, ["a"]);
  });

  test("keeps apart the keys of publishers, and those of requests from those of events", async () => {
    const { send, published } = await setUp();
    await send([draft("a")], { key: "k" });
    await send([draft("b")], { key: "k", publisher: "you" });
    await send([draft("c", "k")]);
    await send([draft("a")], { key: "k" });
    assert.deepEqual(published, ["a", "b", "c"]);
  });

  test("lets a repeat wait for the first one, and gives it the same result", async () => {
    const { send, published, hold, id } = await setUp();
    const held = hold();
    const results: object[] = [];
    const requests = [send([draft("a")], { key: "k" }), send([draft("a")], { key: "k" }), send([draft("b", "e")])];
    const repeat = send([draft("b", "e"), draft("c")]).then((it) => results.push(...idsOf(it)));
    await assert.rejects(send([draft("other")], { key: "k" }), KEY_REUSED);
    assert.deepEqual([published, results], [["a", "b"], []]);
    held.resolve();
    assert.deepEqual((await Promise.all(requests)).map(idsOf), [[id(1)], [id(1)], [id(2)]]);
    await repeat;
    assert.deepEqual(
      [published, results],
      [
        ["a", "b", "c"],
        [id(2), id(3)],
      ],
    );
  });

  test("leaves no key behind a request that failed", async () => {
    const { send, published, fail } = await setUp();
    const failure = new M2pushError("storage_failed", "the disk is full");
    fail(failure);
    await assert.rejects(send([draft("a")], { key: "k" }), failure);
    await assert.rejects(send([draft("b", "e"), draft("c")]), failure);
    fail(undefined);
    await send([draft("another body")], { key: "k" });
    await send([draft("another event", "e")]);
    assert.deepEqual(published, ["another body", "another event"]);
  });

  test("gives the error of the first one to a repeat that waited for it", async () => {
    const { send, published, hold } = await setUp();
    const held = hold();
    const requests = [send([draft("a", "e")]), send([draft("a", "e"), draft("b")])];
    const failure = new M2pushError("storage_failed", "the disk is full");
    held.reject(failure);
    const outcomes = await Promise.allSettled(requests);
    assert.deepEqual(
      outcomes.map((it) => it.status === "rejected" && it.reason),
      [failure, failure],
    );
    assert.deepEqual(published, ["a"]);
  });

  test("publishes the events of a batch whose keys are new, and answers for all", async () => {
    const { send, published, id, repeats } = await setUp();
    await send([draft("a", "1"), draft("b", "2")]);
    const results = await send([draft("b", "2"), draft("c", "3"), draft("no key"), draft("c", "3"), draft("a", "1")]);
    assert.deepEqual(idsOf(results), [id(2), id(3), id(4), id(3), id(1)]);
    assert.deepEqual([published, repeats()], [["a", "b", "c", "no key"], 3]);
    await assert.rejects(send([draft("d", "4"), draft("other", "1")]), KEY_REUSED);
    await assert.rejects(send([draft("d", "4"), draft("e", "4")]), KEY_REUSED);
    assert.equal(published.length, 4, "a batch with a wrong event publishes nothing");
  });

  for (const [what, key] of [
    ["empty", ""],
    ["too long", "k".repeat(256)],
    ["with a space", "a b"],
    ["with a character that is not ASCII", "ü"],
  ] as const) {
    test(`rejects a key that is ${what}`, async () => {
      const { send, published } = await setUp();
      await assert.rejects(send([draft("a")], { key }), { code: "invalid" });
      assert.deepEqual(published, []);
    });
  }

  test("uses the keys of events where all have one, and rejects some of them under the key of a request", async () => {
    const { send, published } = await setUp();
    await send([draft("a", "1"), draft("b", "2")], { key: "k" });
    await send([draft("b", "2")], { key: "k" });
    await assert.rejects(send([draft("c", "3"), draft("d")], { key: "k" }), { code: "invalid" });
    assert.deepEqual(published, ["a", "b"]);
  });

  test("takes a key again when its window is over", async () => {
    const { send, published, clock } = await setUp();
    await send([draft("a")], { key: "k" });
    clock.advance(86_400_000 - 600_000);
    await send([draft("a")], { key: "k" });
    clock.advance(1_200_000);
    await send([draft("another")], { key: "k" });
    assert.deepEqual(published, ["a", "another"]);
  });
});
