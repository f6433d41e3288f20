import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Batch } from "../../src/delivery/batch.js";
import type { Publication } from "../../src/protocol/publication.js";

const publication = (offset: number, data = `${offset};`, expiresAt?: number): Publication => ({
  offset,
  id: `${offset}`,
  topics: ["t"],
  private: false,
  time: offset,
  bytes: Buffer.from(data),
  ...(expiresAt !== undefined && { expiresAt }),
});

describe("Batch", () => {
  test("joins its publications in order into one body that is made once", () => {
    const batch = [2, 3, 4].reduce((grown, offset) => grown.with(publication(offset)), new Batch(publication(1)));
    assert.equal(batch.body().toString(), "1;2;3;4;");
    assert.equal(batch.body(), batch.body());
    assert.deepEqual([batch.first.offset, `${batch.last}`, batch.events, batch.bytes], [1, "4;", 4, 8]);
  });

  test("is the same node for the same list, and another one for another list", () => {
    const [one, two, three] = [publication(1), publication(2), publication(3)];
    const start = new Batch(one);
    const both = start.with(two);
    assert.equal(start.with(two), both);
    const without = start.with(three);
    assert.notEqual(without, both.with(three));
    assert.equal(without.body().toString(), "1;3;");
    assert.equal(both.with(three).body().toString(), "1;2;3;");
  });

  test("does not change when a longer one is made from it", () => {
    const start = new Batch(publication(1));
    const body = start.body();
    start.with(publication(2)).with(publication(3));
    assert.equal(start.body(), body);
    assert.deepEqual([start.events, start.bytes, `${start.last}`], [1, 2, "1;"]);
  });

  test("leaves out what has expired, once for all that share it", () => {
    const [one, two, three] = [publication(1, "1;", 10), publication(2, "2;"), publication(3, "3;", 20)];
    const batch = new Batch(one).with(two).with(three);
    assert.equal(batch.unexpired(9), batch);
    const left = batch.unexpired(10);
    assert.deepEqual([left?.body().toString(), left?.bytes, left?.events, left?.first.offset], ["2;3;", 4, 2, 1]);
    assert.equal(batch.unexpired(11), left);
    assert.equal(batch.unexpired(20)?.body().toString(), "2;");
    assert.equal(batch.body().toString(), "1;2;3;");
    assert.equal(new Batch(two).unexpired(1e15)?.body().toString(), "2;");
  });

  test("of which everything has expired is nothing", () => {
    const batch = new Batch(publication(1, "1;", 10)).with(publication(2, "2;", 20));
    assert.equal(batch.unexpired(10)?.body().toString(), "2;");
    assert.deepEqual([batch.unexpired(20), batch.unexpired(21)], [undefined, undefined]);
  });

  test("joins a hundred thousand small events without exhausting the stack", () => {
    let batch = new Batch(publication(1, "x"));
    for (let offset = 2; offset <= 100_000; offset++) batch = batch.with(publication(offset, "x"));
    assert.equal(batch.body().length, 100_000);
  });
});
