/** How the tests are started: with every program on the PATH, whoever runs them, and never without an end. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { withSbin } from "../support/path.js";
import { PROJECT, run } from "../support/processes.js";

describe("test runs", () => {
  test("find programs of sbin although the PATH of an ordinary user does not name it", async () => {
    assert.equal(withSbin("/usr/bin:/bin"), "/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
    assert.equal(withSbin("/sbin:/usr/sbin:/usr/local/sbin:/bin"), "/sbin:/usr/sbin:/usr/local/sbin:/bin");
    const { exit, output } = await run("nats-server", ["--version"], PROJECT);
    assert.equal(exit.code, 0, output);
  });

  test("have a time limit in every script of package.json", () => {
    const { scripts } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    const runs = Object.entries(scripts).filter(([, command]) => / --test /.test(command));
    assert.deepEqual(
      runs.map(([name]) => name),
      ["test:run", "test:unit"],
    );
    for (const [name, command] of runs) assert.match(command, / --test-timeout=\d+ /, name);
  });
});
