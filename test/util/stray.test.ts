/** A process of its own for each: what happens to a rejection that nobody handles is the end of it, or not. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const STRAY = fileURLToPath(new URL("../../src/util/stray.js", import.meta.url));

function run(script: string) {
  const program = `import { tolerateStrayRejections } from ${JSON.stringify(STRAY)};
    tolerateStrayRejections();
    tolerateStrayRejections();
    ${script}
    setTimeout(() => console.log("still here"), 20);`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

const failure = (stack: string) => `const error = new Error("commit failed");
  error.stack = "Error: commit failed\\n    at resolve (" + ${JSON.stringify(stack)} + ":10:5)";
  Promise.reject(error);`;

test("a rejection that lmdb keeps to itself does not end the process", () => {
  const { status, stdout } = run(failure("/srv/m2push/node_modules/lmdb/write.js"));
  assert.deepEqual([status, stdout], [0, "still here\n"]);
});

for (const [what, script] of [
  ["of our own", failure("/srv/m2push/dist/hub/hub.js")],
  ["of a package with a name like lmdb", failure("/srv/m2push/node_modules/lmdb-store/index.js")],
  ["that is no error", `Promise.reject("lmdb");`],
  [
    "for what lmdb was wrongly given",
    failure("/srv/m2push/node_modules/lmdb/keys.js").replace("new Error(", "new RangeError("),
  ],
] as const) {
  test(`a rejection ${what} ends the process as ever, and is told`, () => {
    const { status, stdout, stderr } = run(script);
    assert.notEqual(status, 0);
    assert.equal(stdout, "");
    assert.match(stderr, /commit failed|lmdb/);
  });
}
