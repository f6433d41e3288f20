import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkOrphans } from "../../../src/cli/doctor/check-orphans.js";
import { liveFindings } from "../../../src/cli/doctor/live-findings.js";
import { loadConfig } from "../../../src/config/load-config.js";
import type { Status } from "../../../src/observability/admin/status.js";

const NOT_SET = "[[mongrel2]] database is not set";
const [SERVER] = loadConfig({ env: {} }).config.mongrel2;

describe("checkOrphans", () => {
  test("reports undecided connections of the daemon, and when those of a killed daemon are closed", async () => {
    const condition = { code: "orphans_unknown", subject: "main", message: "3 connections wait", fix: "set database" };
    const other = { ...condition, subject: "second" };
    const daemon = { conditions: [condition, other] } as unknown as Status;
    assert.deepEqual(await checkOrphans(SERVER, daemon), [
      { level: "warn", what: "3 connections wait", fix: "set database" },
      liveFindings.orphans(false, 60, NOT_SET),
    ]);
    assert.deepEqual(await checkOrphans({ ...SERVER, orphan_timeout: 0 }, undefined), [
      liveFindings.orphans(false, 0, NOT_SET),
    ]);
  });
});
