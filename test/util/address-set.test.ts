import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AddressSet, isAddressRange } from "../../src/util/address-set.js";

describe("AddressSet", () => {
  test("compares addresses, not texts", () => {
    const set = new AddressSet(["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8", "::ffff:192.0.2.0/120"]);
    for (const inside of [
      "127.0.0.1",
      "::ffff:127.0.0.1",
      "0:0:0:0:0:ffff:7f00:1",
      "10.255.0.1",
      "::ffff:10.1.2.3",
      "0:0:0:0:0:0:0:1",
      "fd12:3456::1",
      "192.0.2.77",
    ]) {
      assert.equal(set.has(inside), true, inside);
    }
    for (const outside of ["127.0.0.2", "11.0.0.1", "::2", "fe80::1", "192.0.3.1", "::1%lo", "localhost", ""]) {
      assert.equal(set.has(outside), false, outside);
    }
  });

  test("contains no address if it is empty", () => {
    assert.equal(new AddressSet([]).has("127.0.0.1"), false);
  });

  test("accepts addresses and networks only", () => {
    for (const range of ["0.0.0.0/0", "::/0", "127.0.0.1/32"]) assert.equal(isAddressRange(range), true, range);
    for (const range of ["", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/8/8", "127.1", "::1%lo", "host"]) {
      assert.equal(isAddressRange(range), false, range);
    }
  });
});
