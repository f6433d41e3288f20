import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { DaemonContext } from "../../src/daemon/daemon-context.js";
import { openRevocations } from "../../src/daemon/open-revocations.js";
import { FakeClock } from "../support/clock.js";
import { recordedLog } from "../support/log.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

describe("openRevocations", () => {
  test("warns of a record that cannot be read, and rejects revocations that cannot be recorded", async (t) => {
    const path = temporaryDirectory();
    t.after(() => removeDirectory(path));
    mkdirSync(join(path, "revocations.jsonl"));
    const { log, lines } = recordedLog();
    const clock = new FakeClock();
    const context = { initial: { history: { path } }, options: { clock, log } } as unknown as DaemonContext;
    const revocations = openRevocations(context);
    assert.match(
      String(lines[0]?.msg),
      /the revoked tokens cannot be read from .*they are valid again; fix: make it readable/,
    );
    const revocation = { id: "one" };
    await assert.rejects(revocations.revoke(revocation), { code: "storage_failed" });
  });
});
