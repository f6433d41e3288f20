/** The samples of docs/examples that make tokens, each in its own language: `m2push token check` accepts what they print. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { addToken } from "../../src/cli/token-command.js";
import { runCommand } from "../cli/harness.js";
import { PROJECT, run } from "../support/processes.js";

const SECRET = "a secret of more than thirty-two bytes, for tests";
/** Go has no package in Debian 12: its sample is not run. */
const SAMPLES = [
  ["make-token.py", "/usr/bin/python3"],
  ["make-token.rb", "ruby"],
  ["make-token.php", "php"],
  ["make-token.mjs", process.execPath],
] as const;

describe("Samples of tokens", () => {
  for (const [name, program] of SAMPLES) {
    test(`${name} prints a token that the daemon accepts for its topics`, async () => {
      const env = { ...process.env, M2PUSH_KEY: SECRET };
      const args = [join(PROJECT, "docs/examples", name), "user-7", "https://example.com/users/7", "news/{id}"];
      const { output, exit } = await run(program, args, PROJECT, env);
      assert.equal(exit.code, 0, output);
      const check = ["token", "check", "--auth-publisher-key", SECRET, output.trim(), "news/1"];
      const { code, stdout, stderr } = await runCommand(addToken, check);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /sub "user-7"/);
      assert.match(stdout, /^subscribe "news\/1": yes, by the grant "news\/\{id\}"/m);
    });
  }
});
