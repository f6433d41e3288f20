import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkOrphans } from "../../src/cli/doctor/check-orphans.js";
import { loadConfig } from "../../src/config/load-config.js";
import type { Status } from "../../src/observability/admin/status.js";

const [SERVER] = loadConfig({ env: {} }).config.mongrel2;

describe("Doctor on orphaned connections", () => {
  test("repeats what the daemon cannot decide, and says what a killed one would leave", async () => {
    const condition = { code: "orphans_unknown", subject: "main", message: "3 connections wait", fix: "set database" };
    const other = { ...condition, subject: "second" };
    const daemon = { conditions: [condition, other] } as unknown as Status;
    assert.deepEqual(await checkOrphans(SERVER, daemon), [
      { level: "warn", what: "3 connections wait", fix: "set database" },
      {
        level: "ok",
        what: "what a killed daemon leaves is closed after orphan_timeout (60 s): [[mongrel2]] database is not set",
      },
    ]);
    assert.match((await checkOrphans({ ...SERVER, orphan_timeout: 0 }, undefined))[0]?.what ?? "", /never/);
  });
});
