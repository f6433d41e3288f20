/** What `m2push up` begins with in a folder that has nothing. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { PAIR, scaffold } from "../../src/cli/scaffold.js";
import { loadConfig } from "../../src/config/load-config.js";
import { PROJECT, removeDirectory, temporaryDirectory } from "../support/processes.js";

function folder(t: TestContext): string {
  const dir = temporaryDirectory();
  t.after(() => removeDirectory(dir));
  return dir;
}

describe("scaffold", () => {
  test("an empty folder gets the pair that comes with m2push, and the page", (t) => {
    const dir = folder(t);
    assert.equal(scaffold(dir), "config/m2push.toml, config/mongrel2.conf and html/");
    for (const path of Object.values(PAIR)) {
      assert.equal(readFileSync(join(dir, path), "utf8"), readFileSync(join(PROJECT, path), "utf8"));
    }
    assert.deepEqual(readdirSync(join(dir, "html")).sort(), readdirSync(join(PROJECT, "html")).sort());
    const { config } = loadConfig({ file: join(dir, PAIR.config) });
    assert.equal(config.history.path, join(dir, "data"));
    assert.equal(config.mongrel2[0]?.control, `ipc://${dir}/run/control`);
    assert.equal(scaffold(dir), undefined, "the second time everything is there");
  });

  test("a page that is there stays, and so does a configuration: what a person began is not mixed with ours", (t) => {
    const withPage = folder(t);
    mkdirSync(join(withPage, "html"));
    writeFileSync(join(withPage, "html", "index.html"), "mine");
    assert.equal(scaffold(withPage), "config/m2push.toml and config/mongrel2.conf");
    assert.deepEqual(readdirSync(join(withPage, "html")), ["index.html"]);
    for (const path of Object.values(PAIR)) {
      const begun = folder(t);
      mkdirSync(join(begun, "config"));
      writeFileSync(join(begun, path), "mine");
      assert.equal(scaffold(begun), undefined);
      assert.deepEqual(readdirSync(begun), ["config"]);
      assert.equal(readdirSync(join(begun, "config")).length, 1);
    }
  });
});
