/** A disk that is full, beside a real Mongrel2. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { startPair } from "../support/pair.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

/** Only root can make a small disk; setup.sh needs root as well. */
function asRoot(...command: string[]): void {
  const words = process.getuid?.() === 0 ? command : ["sudo", "-n", ...command];
  execFileSync(words[0] ?? "", words.slice(1));
}

function smallDisk(t: TestContext): string {
  const folder = temporaryDirectory();
  asRoot("mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", folder);
  t.after(() => {
    asRoot("umount", "-l", folder);
    removeDirectory(folder);
  });
  return folder;
}

// lmdb rejects promises of its own besides those that it has given out: the first full disk ended the daemon.
test("when the disk is full publishing is answered with 503, and what was rejected reaches nobody", async (t) => {
  const path = join(smallDisk(t), "data");
  const config = { history: { path }, auth: { allow_publish_from: ["127.0.0.1"] } };
  const pair = await startPair(t, { config, settings: { "limits.content_length": 327_680 } });
  const client = await pair.stream();
  const url = `${pair.mongrel2.url}/.well-known/mercure`;
  const publish = async (data: string) => {
    const body = new URLSearchParams({ topic: "t", data });
    return (await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(10_000) })).status;
  };
  const pad = "x".repeat(20_000);
  const statuses: number[] = [];
  for (let event = 0; event < 80; event++) statuses.push(await publish(`${event} ${pad}`));
  const stored = statuses.indexOf(503);
  assert.ok(stored > 10, `${stored} were stored`);
  assert.deepEqual(new Set(statuses.slice(stored)), new Set([503]));
  await client.until(({ events }) => events.length === stored, "the events that were stored");
  assert.equal(pair.daemon.exit, undefined);
  assert.deepEqual([pair.daemon.noise, pair.daemon.stderr], [[], ""], "nothing stands between the lines of the log");
  // What is there is whole: the next daemon starts on it.
  await pair.daemon.stop();
  await pair.restart();
  assert.equal(client.events.length, stored);
});
