/** Hostile configuration: whatever the file says, the answer is a configuration or a list of faults that say where. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { faultsOf, load } from "../config/harness.js";
import { anyText, damaged } from "../support/arbitraries.js";
import { PROJECT } from "../support/processes.js";

const SHIPPED = readFileSync(join(PROJECT, "config/m2push.toml"));

/** Each fault is one line that begins with the file, and the line where there is one. */
function assertTold(text: string): void {
  for (const fault of faultsOf(() => load(text))) assert.match(fault, /^f\.toml(:\d+)?: [^\n]{5,}$/, fault);
}

describe("Config, fuzzed", () => {
  test("the file that comes with m2push, damaged anywhere", () => {
    fc.assert(
      fc.property(damaged(SHIPPED), (bytes) => assertTold(bytes.toString())),
      { numRuns: 600 },
    );
  });

  test("any text", () => {
    fc.assert(
      fc.property(anyText, (text) => assertTold(text)),
      { numRuns: 600 },
    );
  });

  const key = fc.constantFrom(
    "mongrel2",
    "stream",
    "beacon",
    "publish",
    "auth",
    "log",
    "path",
    "retry",
    "interval",
    "zmq",
    "send_spec",
    "level",
    "publisher_key",
    "__proto__",
    "constructor",
    "toString",
    '""',
    "'a b'",
    "stream.retry",
  );
  const value = fc.constantFrom(
    "1",
    "-1",
    "0",
    "1e400",
    "nan",
    "inf",
    "0x10",
    "true",
    '"5s"',
    '"5 parsecs"',
    '"tcp://[::1]:1"',
    '"ipc://"',
    '""',
    "[]",
    "[[]]",
    "{}",
    '{ __proto__ = "x" }',
    "1979-05-27",
    '"""\n\n"""',
    `"${"x".repeat(100_000)}"`,
    "[".repeat(2000),
    "9007199254740993",
  );
  const line = fc.oneof(
    fc.tuple(key, value).map(([name, it]) => `${name} = ${it}`),
    key.map((name) => `[${name}]`),
    key.map((name) => `[[${name}]]`),
    fc.constantFrom("# \u202e", "\u0000", "\ufeff", "]", '"'),
  );

  test("lines that mean something, put together at random", () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => assertTold(lines.join("\n"))),
      { numRuns: 900 },
    );
  });

  test("nothing of all that has changed what every object has", () => {
    assert.deepEqual(Object.keys(Object.prototype), []);
    assert.deepEqual(
      faultsOf(() => load("")),
      [],
    );
  });
});
