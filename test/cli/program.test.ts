import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { Command } from "commander";
import { M2pushError } from "../../src/errors.js";
import { runCommand } from "./harness.js";

/** A command that does what the test says. */
const acting = (action: () => void | Promise<void>) => (program: Command) => {
  program.command("act").option("--level <word>").action(action);
};
const nothing = acting(() => undefined);

describe("Program", () => {
  test("a command that returns is done: exit code 0 and no word", async () => {
    assert.deepEqual(await runCommand(nothing, ["act"]), { code: 0, stdout: "", stderr: "" });
  });

  test("a command that throws has failed: exit code 1 and one line on standard error", async () => {
    const failing = acting(async () => {
      throw new M2pushError("link_failed", "cannot bind\n  tcp://a:1");
    });
    assert.deepEqual(await runCommand(failing, ["act"]), {
      code: 1,
      stdout: "",
      stderr: "m2push: cannot bind tcp://a:1\n",
    });
  });

  test("what others wrote is shown by its codes where a terminal would obey it: in errors, faults and stacks", async () => {
    for (const code of ["link_failed", "config_invalid"] as const) {
      const failing = acting(() => Promise.reject(new M2pushError(code, "the hub answered: \x9b2J\u202e\x1b[31m")));
      const { stderr } = await runCommand(failing, ["act"], { env: { M2PUSH_DEBUG: "1" } });
      assert.match(stderr, /^m2push: the hub answered: \\u009b2J\\u202e\\u001b\[31m\n/);
      assert.doesNotMatch(stderr, /[\x1b\x9b\u202e]/);
    }
  });

  test("what is thrown need not be an error", async () => {
    const odd = acting(() => Promise.reject("odd"));
    assert.deepEqual(await runCommand(odd, ["act"]), { code: 1, stdout: "", stderr: "m2push: odd\n" });
  });

  test("a faulty configuration has exit code 2 and a line for each fault", async () => {
    const invalid = acting(() => {
      throw new M2pushError("config_invalid", "f.toml:1: a\nf.toml:2: b");
    });
    const { code, stderr } = await runCommand(invalid, ["act"]);
    assert.equal(code, 2);
    assert.equal(stderr, "m2push: f.toml:1: a\nm2push: f.toml:2: b\n");
  });

  test("with M2PUSH_DEBUG the stack and the cause are printed too", async () => {
    const failing = acting(() => {
      throw new M2pushError("link_failed", "outer", { cause: new Error("inner") });
    });
    const { stderr } = await runCommand(failing, ["act"], { env: { M2PUSH_DEBUG: "1" } });
    assert.match(stderr, /^m2push: outer\n/);
    assert.match(stderr, /at .*program\.test/);
    assert.match(stderr, /inner/);
  });

  const USAGE: [args: string[], line: RegExp][] = [
    [["act", "--levle", "x"], /^m2push: unknown option '--levle' \(Did you mean --level\?\)\n$/],
    [["act", "--level"], /^m2push: option '--level <word>' argument missing\n$/],
    [["act", "extra"], /^m2push: too many arguments for 'act'\. .*\n$/],
    [["atc"], /^m2push: unknown command 'atc'.*\n$/],
  ];

  for (const [args, line] of USAGE) {
    test(`wrong usage has exit code 2 and one line on standard error: ${args.join(" ")}`, async () => {
      const { code, stdout, stderr } = await runCommand(nothing, args);
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, line);
      assert.equal(stderr.split("\n").length, 2);
    });
  }

  test("without a command the help is on standard error, with exit code 2", async () => {
    const { code, stdout, stderr } = await runCommand(nothing, []);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /Usage: m2push/);
  });

  test("help that was asked for is on standard output, with exit code 0", async () => {
    for (const args of [["--help"], ["act", "--help"], ["help", "act"]]) {
      const { code, stdout, stderr } = await runCommand(nothing, args);
      assert.equal(code, 0);
      assert.match(stdout, /Usage: m2push/);
      assert.equal(stderr, "");
    }
  });

  test("what the build makes can be run as npx runs it", () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8"));
    assert.equal(execFileSync("dist/cli/main.js", ["--version"], { encoding: "utf8" }), `${version}\n`);
  });

  test("the version is that of package.json", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8"));
    assert.deepEqual(await runCommand(nothing, ["--version"]), { code: 0, stdout: `${version}\n`, stderr: "" });
  });
});
