/** The command as a process: what it does with signals and with an output that takes nothing. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { startDaemon } from "../support/daemon.js";
import { PROJECT, run } from "../support/processes.js";

const PROGRAM = join(PROJECT, "dist/cli/main.js");

describe("the command m2push", () => {
  test("says in one line that its output cannot be written, and fails", async () => {
    for (const command of ["config", "--help", "completion bash"]) {
      const { exit, output } = await run(
        "sh",
        ["-c", `"${process.execPath}" "${PROGRAM}" ${command} >/dev/full`],
        PROJECT,
      );
      assert.equal(exit.code, 1, command);
      assert.match(output, /^m2push: cannot write to standard output: ENOSPC\b.*; fix: .*\n$/, command);
    }
  });

  test("opens no inspector on SIGUSR1, and goes on", async (t) => {
    const config =
      '[[mongrel2]]\nsend_spec = "ipc://send"\nrecv_spec = "ipc://recv"\n[publish]\nzmq = ""\n[admin]\nlisten = ""\n';
    const daemon = startDaemon({ config });
    t.after(() => daemon.stop());
    await daemon.logged(({ event }) => event === "started", "the daemon to start");
    daemon.signal("SIGUSR1");
    daemon.signal("SIGHUP");
    await daemon.logged(({ event }) => event === "reloaded", "the configuration to be read again");
    assert.equal(await daemon.stop(), 0);
    assert.equal(daemon.stderr, "");
  });
});
