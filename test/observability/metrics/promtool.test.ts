/** What Prometheus' own checker says of /metrics. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { PROJECT } from "../../support/processes.js";
import { CLIENT, metrics, publication } from "./harness.js";

/** Where setup.sh puts it when it is not installed. */
const fetched = join(PROJECT, ".tools/promtool");
const promtool = existsSync(fetched) ? fetched : "promtool";

describe("Promtool", () => {
  test("promtool has nothing to say against /metrics", async () => {
    const { observe, exposition } = metrics();
    observe({ type: "clientConnected", server: "main", client: CLIENT, clients: 1 });
    observe({ type: "published", publication: publication(1, "12345") });
    observe({ type: "flushed", server: "main", flush: { bodies: 1, frames: 1, bytes: 5, deliveries: 1, oldest: 0 } });
    observe({ type: "flushAcknowledged", server: "main", milliseconds: 1 });
    observe({ type: "requestCompleted", server: "main", route: "/esupdates", status: 200, reason: undefined });
    const { status, stdout, stderr, error } = spawnSync(promtool, ["check", "metrics"], {
      input: await exposition.text(),
      encoding: "utf8",
    });
    assert.ifError(error);
    assert.deepEqual([status, stdout, stderr], [0, "", ""]);
  });

  test("promtool accepts the alert rules that come with m2push", () => {
    const { status, stderr, error } = spawnSync(promtool, ["check", "rules", join(PROJECT, "config/alerts.yml")], {
      encoding: "utf8",
    });
    assert.ifError(error);
    assert.equal(status, 0, stderr);
  });

  describe("Alerts", () => {
    const tests = join(PROJECT, "test/metrics/alerts.yml");

    test("each fires for what it is there for, and not for its neighbour", () => {
      const { status, stdout, stderr, error } = spawnSync(promtool, ["test", "rules", tests], { encoding: "utf8" });
      assert.ifError(error);
      assert.equal(status, 0, stdout + stderr);
    });

    test("each has a case in which it fires and one in which it does not", () => {
      const names = [...readFileSync(join(PROJECT, "config/alerts.yml"), "utf8").matchAll(/- alert: (\w+)/g)];
      assert.ok(names.length > 10);
      const expected = names.flatMap(([, name]) => [`${name} fires`, `${name} does not fire`]);
      const cases = [...readFileSync(tests, "utf8").matchAll(/- name: (.*)/g)].map(([, name]) => name);
      assert.deepEqual(cases.sort(), expected.sort());
    });
  });
});
