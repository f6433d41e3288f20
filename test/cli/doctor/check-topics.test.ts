import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkTopics } from "../../../src/cli/doctor/check-topics.js";
import { load } from "../../config/harness.js";

const table = (line: string): string => `[[topic]]\n${line}\n`;
/** The tables that never apply, and those that cover them, by their numbers. */
const covered = (...lines: string[]): string[] =>
  checkTopics(load(lines.map(table).join("")).config).map(({ level, what }) =>
    level === "ok" ? "ok" : what.replace(/.*table (\d+) .* never applies: table (\d+) .*/, "$1 by $2"),
  );

describe("checkTopics", () => {
  test("says nothing without tables, and ok where each can apply", () => {
    assert.deepEqual(covered(), []);
    assert.deepEqual(covered('topic = "a/1"', 'template = "a/{id}"', 'pattern = "/a/:id"', 'topic = "*"'), ["ok"]);
  });

  test("warns of a table that an earlier one covers", () => {
    const lines = ['template = "a/{id}"', 'topic = "a/1"', 'template = "a/{id}"', 'topic = "*"', 'topic = "b"'];
    assert.deepEqual(covered(...lines), ["2 by 1", "3 by 1", "5 by 4"]);
  });
});
