/** The programs of sbin are started although the PATH of an ordinary user does not name their folder. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PROJECT, run } from "../../support/processes.js";

describe("Programs of the test runs, end to end", () => {
  test("are found in sbin", async () => {
    const { exit, output } = await run("nats-server", ["--version"], PROJECT);
    assert.equal(exit.code, 0, output);
  });
});
