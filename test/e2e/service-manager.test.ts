/** The daemon under a service manager: beside a real Mongrel2, with a few lines of Python in the place of systemd. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, type TestContext, test } from "node:test";
import { Changes } from "../support/deadline.js";
import { startPair } from "../support/pair.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

/** Prints each message as one line, and closes the descriptor that systemd-notify may send as a barrier. */
const SERVICE_MANAGER = `
import os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
print("listening", flush=True)
while True:
    message, descriptors, _, _ = socket.recv_fds(server, 4096, 4)
    for descriptor in descriptors: os.close(descriptor)
    print(message.decode().replace("\\n", " "), flush=True)
`;

/** What systemd-notify does, for machines without systemd. */
const SYSTEMD_NOTIFY = `#!/usr/bin/env python3
import os, socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto("\\n".join(sys.argv[1:]).encode(), os.environ["NOTIFY_SOCKET"])
`;

/** Returns the environment for a daemon, and the messages that it sends. */
async function startServiceManager(t: TestContext) {
  const folder = temporaryDirectory();
  const path = join(folder, "notify");
  const manager = spawn("python3", ["-c", SERVICE_MANAGER, path], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => {
    manager.kill();
    removeDirectory(folder);
  });
  const messages: string[] = [];
  const changes = new Changes();
  createInterface({ input: manager.stdout }).on("line", (line) => {
    messages.push(line);
    changes.tell();
  });
  const received = (wanted: RegExp) =>
    changes.until(
      () => messages.find((it) => wanted.test(it)),
      `the message ${wanted}`,
      30_000,
      () => messages.join("\n"),
    );
  await received(/^listening$/);
  if (!existsSync("/usr/bin/systemd-notify")) {
    writeFileSync(join(folder, "systemd-notify"), SYSTEMD_NOTIFY);
    chmodSync(join(folder, "systemd-notify"), 0o755);
  }
  const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: "1000000", PATH: `${folder}:${process.env.PATH}` };
  return { env, messages, received };
}

describe("A service manager", () => {
  test("is told of readiness, a reload and the stop, and its watchdog is fed", async (t) => {
    const { env, messages, received } = await startServiceManager(t);
    const { daemon } = await startPair(t, { env });
    await received(/^STATUS=Mongrel2 is connected$/);
    await received(/^WATCHDOG=1$/);
    daemon.signal("SIGHUP");
    await received(/^RELOADING=1$/);
    await daemon.stop();
    await received(/^STOPPING=1$/);
    const states = messages.filter((it) => /^(READY|RELOADING|STOPPING)=1$/.test(it));
    assert.deepEqual(states, ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]);
  });
});
