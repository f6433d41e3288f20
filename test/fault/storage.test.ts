/** A history that can no longer be written, beside a real Mongrel2 and a subscriber who has nothing to do with it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { conditionTexts } from "../../src/util/condition-texts.js";
import { type Pair, startPair } from "../support/pair.js";
import { freePort } from "../support/ports.js";

/** The largest file that the daemon may write from now on, as `ulimit -f` sets it; an ordinary user may. */
function limitFiles(pid: number, bytes: number | "unlimited"): void {
  execFileSync("prlimit", ["--pid", `${pid}`, `--fsize=${bytes}:`]);
}

function publishing({ mongrel2 }: Pair) {
  const url = `${mongrel2.url}/.well-known/mercure`;
  return async (data: string) => {
    const body = new URLSearchParams({ topic: "t", data });
    const response = await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(10_000) });
    return response.status;
  };
}

/** Asks again and again until the answer has this status. */
async function readiness(admin: string, status: number): Promise<string> {
  for (let asked = 0; asked < 500; asked++) {
    const response = await fetch(`${admin}/readyz`, { signal: AbortSignal.timeout(5000) });
    const text = await response.text();
    if (response.status === status) return text;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`/readyz never became ${status}`);
}

for (const [where, room] of [
  ["the next page of the history", 0],
  ["pages that the history has already", 40_000],
] as const) {
  describe(`A file-size limit below ${where}`, () => {
    test("rejects publications, sends none of them, and reports the condition while it lasts", async (t) => {
      const admin = `http://127.0.0.1:${await freePort()}`;
      const config = { admin: { listen: admin.slice("http://".length) }, auth: { allow_publish_from: ["127.0.0.1"] } };
      const pair = await startPair(t, { config });
      const { daemon } = pair;
      const client = await pair.stream();
      const publish = publishing(pair);
      assert.equal(await publish("before"), 200);
      await client.until(({ events }) => events.length === 1, "the event before");
      assert.equal((await fetch(`${admin}/readyz`)).status, 200);

      const { size } = statSync(join(daemon.dir, "data", "history.mdb"));
      limitFiles(daemon.pid, size - room);
      const statuses: number[] = [];
      while (statuses.at(-1) !== 503) statuses.push(await publish(`event ${statuses.length} ${"x".repeat(2000)}`));
      const accepted = 1 + statuses.length - 1;
      for (let event = 0; event < 5; event++) assert.equal(await publish(`rejected ${event}`), 503);

      const reasons = await readiness(admin, 503);
      const { message } = conditionTexts.storageFailing("", "");
      assert.ok(reasons.includes(message) && reasons.includes("; fix: raise the file-size limit"), reasons);
      const began = await daemon.logged(({ code }) => code === "storage_failing", "the error line");
      assert.deepEqual([began.level, began.event, began.publications], ["error", "condition_began", "rejected"]);
      assert.match(String(began.fix), /LimitFSIZE/);
      const metrics = await (await fetch(`${admin}/metrics`)).text();
      assert.match(metrics, /^m2push_condition\{code="storage_failing",subject=""\} 1$/m);
      assert.match(metrics, /^m2push_publishing_up 0$/m);
      const counted = /^m2push_publications_rejected_total\{source="http",reason="storage_failed"\} (\d+)$/m;
      assert.equal(counted.exec(metrics)?.[1], "6");

      limitFiles(daemon.pid, "unlimited");
      await readiness(admin, 200);
      await daemon.logged(({ event, code }) => event === "condition_ended" && code === "storage_failing", "its end");
      assert.equal(await publish("after"), 200);
      await client.until(({ events }) => events.at(-1)?.data === "after", "the event after");
      assert.equal(client.events.length, accepted + 1, "what was rejected reached nobody");
      assert.equal(
        daemon.log.filter(({ code, event }) => event === "condition_began" && code === "storage_failing").length,
        1,
      );
      assert.deepEqual([daemon.noise, daemon.stderr], [[], ""], "nothing stands between the lines of the log");
    });
  });
}

describe("A daemon that is started where nothing can be written", () => {
  test("serves streams and stored events, rejects publications, and accepts them once it can write", async (t) => {
    const admin = `http://127.0.0.1:${await freePort()}`;
    const config = { admin: { listen: admin.slice("http://".length) }, auth: { allow_publish_from: ["127.0.0.1"] } };
    const pair = await startPair(t, { config });
    const publish = publishing(pair);
    assert.equal(await publish("stored"), 200);
    await pair.daemon.kill9();
    // A child has its parent's limit. The configuration is smaller, the data are larger.
    limitFiles(process.pid, 8192);
    t.after(() => limitFiles(process.pid, "unlimited"));
    await pair.restart();
    limitFiles(process.pid, "unlimited");
    assert.ok((await readiness(admin, 503)).includes(conditionTexts.storageFailing("", "").message));
    assert.equal(await publish("rejected"), 503);
    const late = await pair.stream({}, "/.well-known/mercure?topic=t&lastEventID=earliest");
    await late.until(({ events }) => events.length === 1, "the event that is stored");

    limitFiles(pair.daemon.pid, "unlimited");
    await readiness(admin, 200);
    assert.equal(await publish("after"), 200);
    await late.until(({ events }) => events.at(-1)?.data === "after", "the event after");
    assert.deepEqual(
      late.events.map(({ data }) => data),
      ["stored", "after"],
    );
    const { noise, stderr } = pair.daemon;
    assert.deepEqual([noise, stderr], [[], ""]);
    await pair.daemon.logged(
      ({ msg }) => `${msg}`.startsWith("the last process did not close the history"),
      "the kill",
    );
  });
});
