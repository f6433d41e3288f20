/** The samples of docs/examples that publish, each by its own language and binding as Debian or npm has it, against a daemon. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { freePort } from "../support/ports.js";
import { PROJECT, removeDirectory, run, temporaryDirectory } from "../support/processes.js";

/** The program that the C sample is compiled to. */
const COMPILED = join(temporaryDirectory(), "publish");
/** Debian's Python: another one on the PATH does not have Debian's modules. */
const SAMPLES = [
  ["publish.py", "/usr/bin/python3"],
  ["publish.rb", "ruby"],
  ["publish.php", "php"],
  ["publish.mjs", process.execPath],
  ["publish.c", COMPILED],
] as const;
/** Go has no package in Debian 12: its sample is not run. What it sends is what the others send. */
const NOT_RUN = "publish.go";
const MAX_LINES = 14;

describe("Samples of publishers", () => {
  let [daemon, address]: [Daemon | undefined, string] = [undefined, ""];

  before(async () => {
    await compile("publish.c");
    address = `tcp://127.0.0.1:${await freePort()}`;
    const [send, receive] = [await freePort(), await freePort()];
    daemon = startDaemon({
      config: `
[[mongrel2]]
send_spec = "tcp://127.0.0.1:${send}"
recv_spec = "tcp://127.0.0.1:${receive}"
[publish]
zmq = "${address}"
[beacon]
interval = "0"
[admin]
listen = ""
`,
    });
    await daemon.logged(({ event }) => event === "started", "the daemon to start");
  });

  after(async () => {
    removeDirectory(dirname(COMPILED));
    await daemon?.stop();
  });

  async function compile(name: string): Promise<void> {
    const args = ["-Wall", "-Werror", "-o", COMPILED, join(PROJECT, "docs/examples", name), "-lczmq"];
    const { exit, output } = await run("cc", args, PROJECT);
    assert.equal(exit.code, 0, output);
  }

  for (const [name, program] of SAMPLES) {
    const path = program === COMPILED ? [] : [join(PROJECT, "docs/examples", name)];

    test(`${name} publishes an event and prints its id`, async () => {
      const { exit, output } = await run(program, [...path, "news", "héllo", address], PROJECT);
      assert.match(output, /^#\w+\.\d+\n$/);
      assert.equal(exit.code, 0);
    });

    test(`${name} fails with the reason when the event is rejected`, async () => {
      const { exit, output } = await run(program, [...path, "*", "x", address], PROJECT);
      assert.match(output, /topic \\?"\*\\?" stands for every topic/);
      assert.notEqual(exit.code, 0);
    });
  }

  test("each is short", () => {
    for (const name of [...SAMPLES.map(([it]) => it), NOT_RUN]) {
      const lines = readFileSync(join(PROJECT, "docs/examples", name), "utf8")
        .trimEnd()
        .split("\n");
      assert.ok(lines.length <= MAX_LINES, `${name} has ${lines.length} lines`);
    }
  });
});
