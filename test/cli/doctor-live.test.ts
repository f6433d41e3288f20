/** What the doctor says of a control port that is not configured, and of a second daemon: before one is started, and while one runs. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { checkControl, checkLink } from "../../src/cli/doctor/check-link.js";
import { loadConfig } from "../../src/config/load-config.js";
import type { ServerConfig } from "../../src/config/schema.js";
import { secondDaemonCondition } from "../../src/mongrel2/link-conditions.js";
import type { Status } from "../../src/observability/admin/status.js";
import { systemClock } from "../../src/util/clock.js";
import { FakeMongrel2 } from "../support/fake-mongrel2.js";
import { disconnectNotice } from "../support/mongrel2-messages.js";

const { config } = loadConfig({ cwd: "/home/x" });
const [defaults] = config.mongrel2;

/** Of a process that began some three minutes ago, in the numbers of mongrel2/fences.ts. */
const foreignFence = () => 2_000_000_001 + ((Math.floor(Date.now() / 100) + 2048) % 4096) * 64 * 562;

async function start(t: TestContext, changes: Partial<ServerConfig> = {}) {
  const mongrel2 = await FakeMongrel2.start();
  t.after(() => mongrel2.stop());
  const { sendSpec, recvSpec, sendIdent } = mongrel2;
  const server = { ...defaults, send_spec: sendSpec, recv_spec: recvSpec, send_ident: sendIdent, ...changes };
  return { mongrel2, server };
}

describe("Doctor about the control port", () => {
  test("without one no client survives a restart; behind a proxy private events are not served either", async () => {
    for (const [bind, what] of [
      [false, "no control port is configured: no client survives a restart of m2push"],
      [
        true,
        "no control port is configured, and bind is true: private events are not served, and no client survives a restart",
      ],
    ] as const) {
      const { findings } = await checkControl({ ...defaults, control: undefined, bind }, undefined, systemClock);
      const fix = `add control = "ipc://run/control" (Mongrel2's control_port) to [[mongrel2]] "${defaults.name}"`;
      assert.deepEqual(findings, [{ level: "warn", what, fix }]);
    }
  });
});

describe("Doctor about a second daemon", () => {
  test("the running daemon says that there is one: that is the fault, and nothing is sent beside the two", async (t) => {
    const { server } = await start(t);
    const { message, fix } = secondDaemonCondition(server.name, false);
    const condition = { code: "second_daemon", subject: server.name, message, fix, since: "" } as const;
    const served = { name: server.name, sendSpec: server.send_spec, recvSpec: server.recv_spec, live: true };
    const about = (subject: string) =>
      ({
        servers: [{ ...served, silent: false, fenceMs: 1 }],
        conditions: [{ ...condition, subject }],
      }) as never as Status;
    assert.deepEqual(await checkLink(server, config, about(server.name), systemClock), [
      { level: "FAIL", what: message, fix: fix },
    ]);
    const [ofAnother] = await checkLink(server, config, about("another"), systemClock);
    assert.equal(ofAnother?.level, "ok");
  });

  test("a daemon that cannot be asked shows itself by its notices, before another one is started", async (t) => {
    for (const shared of [false, true]) {
      const { mongrel2, server } = await start(t, { shared });
      mongrel2.raw(disconnectNotice("json", server.send_ident, foreignFence()));
      const findings = await checkLink(server, config, undefined, systemClock);
      const told = findings.filter(({ what }) => /a daemon reads requests from .* already/.test(what));
      assert.deepEqual(
        told.map(({ level }) => level),
        shared ? [] : ["warn"],
      );
    }
  });

  test("where nobody else is, nothing is said", async (t) => {
    const { server } = await start(t);
    const findings = await checkLink(server, config, undefined, systemClock);
    assert.match(findings[0]?.what ?? "", /messages go both ways/);
    assert.ok(!findings.some(({ what }) => /already/.test(what)));
  });
});
