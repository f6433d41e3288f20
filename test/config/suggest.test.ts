import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { distance, suggest } from "../../src/config/suggest.js";

const word = fc.string({ maxLength: 12 });

describe("suggest", () => {
  test("the distance of a word to itself is 0, and to another it is not", () => {
    fc.assert(fc.property(word, word, (a, b) => (distance(a, b) === 0) === (a === b)));
  });

  test("the distance is the same in both directions and at most the longer length", () => {
    fc.assert(
      fc.property(
        word,
        word,
        (a, b) => distance(a, b) === distance(b, a) && distance(a, b) <= Math.max(a.length, b.length),
      ),
    );
  });

  test("one slip of the finger is one edit", () => {
    for (const slip of ["hartbeat", "heartbeaat", "heartbeet", "haertbeat"])
      assert.equal(distance("heartbeat", slip), 1, slip);
  });

  test("a misspelt key finds its right name, in any letter case", () => {
    const keys = ["retry", "heartbeat", "keepalive", "max_clients"] as const;
    assert.equal(suggest("retyr", [...keys]), "retry");
    assert.equal(suggest("MAXCLIENTS", [...keys]), "max_clients");
    assert.equal(suggest("keep-alive", [...keys]), "keepalive");
  });

  test("suggests the first of equally near names, and always one", () => {
    assert.equal(suggest("x", ["a", "b"]), "a");
    assert.equal(suggest("", ["long", "a"]), "a");
    assert.equal(suggest("y".repeat(100_000), ["a"]), "a");
  });
});
