/** Completion as bash does it; and that the scripts for the other shells know every command and option. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { manPage } from "../../packaging/pages/man-page.js";
import { fullProgram } from "../../src/cli/commands.js";
import { shapeOf } from "../../src/cli/completion/program-shape.js";
import { addCompletion, SHELLS } from "../../src/cli/completion-command.js";
import { runCommand } from "../cli/harness.js";
import { run } from "../support/processes.js";

const shape = shapeOf(fullProgram());
const script = (shell: string): string => SHELLS[shell]?.(shape) ?? assert.fail(shell);
const folder = mkdtempSync(join(tmpdir(), "m2push-completion-"));

describe("Completion", () => {
  after(() => rmSync(folder, { recursive: true }));

  /** What bash offers after a line; the last word is the one that is being typed. As readline has them: "=" is a word. */
  async function offered(...words: string[]): Promise<string[]> {
    writeFileSync(join(folder, "m2push.bash"), script("bash"));
    const line = ["m2push", ...words].map((word) => `'${word}'`).join(" ");
    const code = `
    set -u; . ./m2push.bash; compopt() { :; }
    COMP_WORDS=(${line}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    _m2push m2push; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { exit, output } = await run("bash", ["-c", code], folder);
    assert.equal(exit.code, 0, output);
    return output.trim().split("\n").filter(Boolean);
  }

  test("bash completes commands, options, and the values of those that have a list of them", async () => {
    assert.deepEqual(await offered("s"), ["serve", "subscribe", "status"]);
    assert.deepEqual(await offered("do"), ["doctor"]);
    assert.deepEqual(await offered("publish", "--t"), ["--topic", "--type", "--ttl", "--token", "--timeout"]);
    assert.deepEqual(await offered("serve", "--history-store", ""), ["lmdb", "memory"]);
    assert.deepEqual(await offered("serve", "--history-store", "=", "m"), ["memory"]);
    assert.deepEqual(await offered("serve", "--history-store", "="), ["lmdb", "memory"]);
    assert.deepEqual(await offered("completion", ""), ["bash", "zsh", "fish", "-h", "--help"]);
    assert.deepEqual(await offered("serve", "--log-level", "info", "--dr"), ["--drain"]);
  });

  test("bash completes files where a file is meant, and offers nothing where the value is unknown", async () => {
    writeFileSync(join(folder, "a b.toml"), "");
    assert.deepEqual(await offered("serve", "-c", "a"), ["a b.toml"]);
    assert.deepEqual(await offered("doctor", "--mongrel2-db", "m2push.b"), ["m2push.bash"]);
    assert.deepEqual(await offered("serve", "--stream-retry", ""), []);
  });

  test("every command and every option is in every script, and in the manual page", () => {
    const page = manPage(shape, "0.0.0").replaceAll("\\-", "-");
    assert.ok(shape.commands.length >= 7);
    for (const { name, options } of shape.commands) {
      assert.match(page, new RegExp(`^\\.SS "${name}`, "m"));
      for (const shell of Object.keys(SHELLS)) assert.match(script(shell), new RegExp(`\\b${name}\\b`));
      for (const { long } of options.filter((option) => option.long !== "--help")) {
        assert.ok(page.includes(long), `manual: ${long}`);
        assert.ok(script("bash").includes(long) && script("zsh").includes(long), long);
        assert.ok(script("fish").includes(` -l ${long.slice(2)} `), `fish: ${long}`);
      }
    }
  });

  test("quotes, brackets and colons of a description do not end it in any shell", () => {
    const option = {
      short: undefined,
      long: "--odd",
      flags: "--odd",
      description: 'it\'s [a] \\ "b": $(c) `d`',
      values: undefined,
      repeats: false,
      group: undefined,
    };
    const odd = {
      ...shape,
      commands: [{ name: "do", summary: "it's: $x", description: "", options: [option], arguments: [] }],
    };
    assert.ok(SHELLS.zsh?.(odd).includes(`[it'\\''s \\[a\\] \\\\ "b"\\: $(c) \`d\`]'`));
    assert.ok(SHELLS.fish?.(odd).includes(`-d 'it\\'s [a] \\\\ "b": $(c) \`d\`'`));
  });

  test("m2push completion prints the script for its shell, and knows no other shell", async () => {
    const { code, stdout } = await runCommand(addCompletion, ["completion", "bash"]);
    assert.equal(code, 0);
    assert.match(stdout, /^complete -F _m2push m2push$/m);
    const wrong = await runCommand(addCompletion, ["completion", "tcsh"]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /^m2push: .*tcsh.* Allowed choices are bash, zsh, fish\.$/m);
  });
});
