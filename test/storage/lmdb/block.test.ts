import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { positionId } from "../../../src/protocol/position.js";
import type { Publication } from "../../../src/protocol/publication.js";
import { EventBlock, isIntact, publicationsIn, storedEventsIn } from "../../../src/storage/lmdb/block.js";
import { anyText, bytes } from "../../support/arbitraries.js";

const EPOCH = "abc123";

const made: fc.Arbitrary<Omit<Publication, "offset">> = fc.record(
  {
    id: fc.oneof(fc.constant(""), anyText),
    topics: fc.array(anyText, { maxLength: 5 }),
    private: fc.boolean(),
    time: fc.double({ noNaN: true }),
    bytes: fc.oneof(
      bytes,
      fc.nat(10_000).map((size) => Buffer.alloc(size, "x")),
    ),
    expiresAt: fc.double({ noNaN: true }),
    isFinal: fc.constant(true as const),
  },
  { requiredKeys: ["id", "topics", "private", "time", "bytes"], noNullPrototype: true },
);

/** "" becomes the position's id. */
const placed = (all: readonly Omit<Publication, "offset">[], gap = 3): Publication[] =>
  all.map((it, index) => ({ offset: 1 + index * gap, ...it, id: it.id || positionId(EPOCH, 1 + index * gap) }));

function blocksOf(publications: readonly Publication[]): EventBlock[] {
  const blocks: EventBlock[] = [];
  for (const publication of publications) {
    if (!blocks.at(-1)?.add(publication)) blocks.push(new EventBlock(EPOCH, publication));
  }
  for (const block of blocks) block.seal();
  return blocks;
}

const plain = (publications: Iterable<Publication>) =>
  [...publications].map((it) => ({ ...it, bytes: it.bytes.toString("latin1") }));

describe("Block", () => {
  test("what comes out of blocks is what went in, in memory and stored", () => {
    fc.assert(
      fc.property(fc.array(made, { maxLength: 30 }), (all) => {
        const publications = placed(all);
        const blocks = blocksOf(publications);
        const stored = blocks.flatMap((block) => [...publicationsIn(EPOCH, Buffer.from(block.stored))]);
        assert.deepEqual(plain(stored), plain(publications));
        assert.deepEqual(plain(blocks.flatMap((block) => block.publications)), plain(publications));
        assert.ok(blocks.every((block) => isIntact(block.stored)));
        assert.deepEqual(
          blocks.map(({ bytes }) => bytes),
          blocks.map(({ stored }) => [...storedEventsIn(stored)].reduce((sum, record) => sum + record.bytes, 0)),
        );
      }),
    );
  });

  test("a block can be read while it grows", () => {
    const [first, second] = placed([
      { id: "", topics: ["t"], private: false, time: 1, bytes: Buffer.from("one") },
      { id: "own", topics: ["t"], private: true, time: 2, bytes: Buffer.from("two") },
    ]) as [Publication, Publication];
    const block = new EventBlock(EPOCH, first);
    assert.deepEqual(plain(block.publications), plain([first]));
    assert.ok(block.add(second));
    assert.deepEqual(plain(block.publications), plain([first, second]));
    assert.deepEqual([block.last, block.offsets, block.customIds], [4, [1, 4], [{ id: "own", offset: 4, topic: "t" }]]);
  });

  test("a block fits into a page of the file, and one event into any block", () => {
    const event = (size: number) => ({
      id: "",
      topics: ["t"],
      private: false,
      time: 1,
      bytes: Buffer.alloc(size, "x"),
    });
    const small = blocksOf(
      placed(
        Array.from({ length: 1000 }, () => event(100)),
        1,
      ),
    );
    assert.ok(small.every(({ stored }) => stored.length <= 4072));
    assert.ok(small.length < 40, `${small.length} blocks`);
    assert.deepEqual(
      blocksOf(placed([event(10), event(100_000), event(10)])).map(({ offsets }) => offsets),
      [[1], [4], [7]],
    );
  });

  test("damage is seen, and bytes that are anything are read without an error", () => {
    const block = blocksOf(
      placed(
        Array.from({ length: 5 }, () => ({
          id: "own",
          topics: ["t"],
          private: false,
          time: 1,
          bytes: Buffer.from("x"),
        })),
      ),
    )[0];
    const { stored } = block as EventBlock;
    fc.assert(
      fc.property(fc.nat(stored.length - 5), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Buffer.from(stored);
        damaged[at + 4] = (damaged[at + 4] ?? 0) ^ change;
        assert.equal(isIntact(damaged), false);
        for (const _ of publicationsIn(EPOCH, damaged));
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (any) => {
        for (const _ of publicationsIn(EPOCH, Buffer.from(any)));
      }),
    );
  });
});
