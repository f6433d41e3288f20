/** A disk that is full, beside a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fullDisks } from "../support/full-disk.js";
import { startPair } from "../support/pair.js";

const EVENTS = 80;

describe("Disk, under faults", () => {
  // lmdb rejects promises of its own besides those that it has given out: the first full disk ended the daemon.
  for (const disk of fullDisks) {
    test(`when the disk is full (${disk.name}) publishing is answered with 503, and what was rejected reaches nobody`, async (t) => {
      const path = disk.folder(t);
      const config = { history: { path }, auth: { allow_publish_from: ["127.0.0.1"] } };
      const pair = await startPair(t, { config, settings: { "limits.content_length": 327_680 } });
      const client = await pair.stream();
      disk.limit(pair.daemon, path);
      const url = `${pair.mongrel2.url}/.well-known/mercure`;
      const publish = async (data: string, key: number) => {
        const body = new URLSearchParams({ topic: "t", data });
        // Every other event has a key, whose pages the daemon must claim too.
        const headers = key % 2 === 0 ? {} : { "Idempotency-Key": `"${key}"` };
        return (await fetch(url, { method: "POST", body, headers, signal: AbortSignal.timeout(10_000) })).status;
      };
      const pad = "x".repeat(20_000);
      const statuses: number[] = [];
      for (let event = 0; event < EVENTS; event++) statuses.push(await publish(`${event} ${pad}`, event));
      const stored = statuses.indexOf(503);
      assert.ok(stored > 10, `${stored} were stored`);
      assert.deepEqual(
        statuses.slice(stored),
        Array.from({ length: EVENTS - stored }, () => 503),
      );
      const whole = Array.from({ length: stored }, (_, event) => event);
      const numbers = () => client.events.map(({ data }) => Number.parseInt(data, 10));
      await client.until(({ events }) => events.length >= stored, "the events that were stored");
      assert.deepEqual(numbers(), whole);
      assert.equal(pair.daemon.exit, undefined);
      assert.deepEqual(
        [pair.daemon.noise, pair.daemon.stderr],
        [[], ""],
        "nothing stands between the lines of the log",
      );
      // What is there is whole: the next daemon starts on it.
      await pair.daemon.stop();
      await pair.restart();
      assert.deepEqual(numbers(), whole);
    });
  }
});
