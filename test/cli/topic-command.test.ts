import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { addConfig } from "../../src/cli/config-command.js";
import { addTopic } from "../../src/cli/topic-command.js";
import { runCommand } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "m2push-topic-"));

/** Runs `m2push topic` with a configuration of these lines. */
async function show(topic: string, lines: readonly string[]) {
  writeFileSync(join(folder, "f.toml"), lines.join("\n"));
  return runCommand(addTopic, ["topic", topic, "-c", "f.toml"], { cwd: folder });
}

const TABLES = [
  "[history]",
  "max_events = 50",
  "[[topic]]",
  'topic = "news"',
  "[[topic]]",
  'template = "sensors/{id}"',
  "max_events = 10",
  'max_age = "2d"',
  'ttl = "1m"',
  "private = true",
];

describe("Topic command", () => {
  after(() => rmSync(folder, { recursive: true }));

  test("shows the table that applies, and each value that holds with its source", async () => {
    const { code, stdout, stderr } = await show("sensors/7", TABLES);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(stdout.split("\n"), [
      'table 2 of 2 applies: template = "sensors/{id}"  # f.toml:6',
      "max_events = 10  # f.toml:7",
      'max_age = "1d"  # [history] max_age, default',
      'keep = "none"  # default',
      'ttl = "1m"  # f.toml:9',
      "private = true  # f.toml:10",
      "rate = 0  # default",
      "anonymous = true  # [auth] anonymous, default",
      "",
    ]);
  });

  test("shows the values of the other tables for a topic without one, and where its table sets no limit", async () => {
    const expected = [
      "max_events = 50  # [history] max_events, f.toml:2",
      "anonymous = false  # [auth] anonymous, f.toml:12",
    ];
    for (const [topic, heading] of [
      ["other", "no [[topic]] table applies"],
      ["news", 'table 1 of 2 applies: topic = "news"  # f.toml:4'],
    ] as const) {
      const lines = (await show(topic, [...TABLES, "[auth]", "anonymous = false"])).stdout.split("\n");
      assert.equal(lines[0], heading);
      for (const line of expected) assert.ok(lines.includes(line), lines.join("\n"));
    }
  });

  test("refuses what cannot be a topic", async () => {
    const { code, stderr } = await show("*", TABLES);
    assert.equal(code, 1);
    assert.match(stderr, /"\*" stands for every topic/);
  });

  test("every command names the line of a selector that is not valid", async () => {
    writeFileSync(join(folder, "f.toml"), '[[topic]]\ntopic = "a"\n[[topic]]\nrate = 1\npattern = "/a/("\n');
    const { code, stderr } = await runCommand(addConfig, ["config", "--check", "-c", "f.toml"], { cwd: folder });
    assert.equal(code, 2);
    assert.match(stderr, /^m2push: f\.toml:5: topic\.pattern: /);
  });
});
