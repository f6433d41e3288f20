import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";
import { freePort, reserve } from "../support/ports.js";

const MODULE = new URL("../support/ports.js", import.meta.url).href;
const OTHER = `import { freePort } from ${JSON.stringify(MODULE)}; console.log(await freePort()); setInterval(() => {}, 1e6);`;

describe("Ports of tests", () => {
  test("are given once", async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, freePort));
    assert.equal(new Set(ports).size, 50);
    assert.deepEqual(ports.map(reserve), Array(50).fill(false));
  });

  test("of another process are reserved until it ends, in whatever way", async (t) => {
    const other = spawn(process.execPath, ["--input-type=module", "-e", OTHER], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => other.kill("SIGKILL"));
    const [line] = await once(other.stdout, "data");
    const port = Number(line);
    assert.equal(reserve(port), false);
    other.kill("SIGKILL");
    await once(other, "exit");
    assert.equal(reserve(port), true);
  });
});
