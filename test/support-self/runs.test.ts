/** How the tests are started: with every program on the PATH, and never without a time limit. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { withSbin } from "../support/path.js";
import { PROJECT, run } from "../support/processes.js";

const RUNNER = "scripts/run-tests.js";

describe("test runs", () => {
  test("look for programs in sbin although the PATH of an ordinary user does not name it", () => {
    assert.equal(withSbin("/usr/bin:/bin"), "/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
    assert.equal(withSbin("/sbin:/usr/sbin:/usr/local/sbin:/bin"), "/sbin:/usr/sbin:/usr/local/sbin:/bin");
  });

  test("are all started by one script, which sets a time limit", () => {
    const { scripts } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    const names = Object.keys(scripts).filter((name) => /^test\b/.test(name));
    assert.deepEqual(names, ["test", "test:unit", "test:runtimes", "test:packages", "test:watch"]);
    assert.match(readFileSync(join(PROJECT, "scripts/test-runtimes.sh"), "utf8"), new RegExp(`node ${RUNNER}`));
    // The packages are tested by shell commands in roots of their own.
    const shells = ["test:runtimes", "test:packages"];
    for (const name of names.filter((it) => !shells.includes(it)))
      assert.ok(scripts[name]?.startsWith(`node ${RUNNER}`), name);
    assert.match(readFileSync(join(PROJECT, "scripts/test-packages.sh"), "utf8"), /exec timeout .*"\$LIMIT_SECONDS"/);
    assert.match(readFileSync(join(PROJECT, RUNNER), "utf8"), /--test-timeout=\$\{TIMEOUT_MS\}/);
  });

  test("of one file are started by its source path", async () => {
    // The runner of this test would take the runs below it for its own.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const named = (name: string) => run(process.execPath, [RUNNER, "--compiled", name], PROJECT, env);
    const { exit, output } = await named("test/util/backoff.test.ts");
    assert.equal(exit.code, 0, output);
    assert.match(output, /^ℹ fail 0$/m);
    const unknown = await named("test/util/unknown.test.ts");
    assert.equal(unknown.exit.code, 2);
    assert.match(unknown.output, /^no such test: test\/util\/unknown\.test\.ts; expected /);
  });
});
