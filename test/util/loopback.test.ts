import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isLoopback } from "../../src/util/loopback.js";

describe("isLoopback", () => {
  test("addresses of this machine only; no name, whatever it begins with", () => {
    for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
      assert.ok(isLoopback(address), address);
    for (const address of ["10.0.0.1", "0.0.0.0", "::", "::ffff:10.0.0.1", "127.example.com", "localhost", ""])
      assert.ok(!isLoopback(address), address);
  });
});
