/** The findings about a second daemon: before one is started, and while one runs. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { checkLink } from "../../../src/cli/doctor/check-link.js";
import { liveFindings } from "../../../src/cli/doctor/live-findings.js";
import { loadConfig } from "../../../src/config/load-config.js";
import type { ServerConfig } from "../../../src/config/schema.js";
import { secondDaemonCondition } from "../../../src/mongrel2/link-conditions.js";
import type { Status } from "../../../src/observability/admin/status.js";
import { systemClock } from "../../../src/util/clock.js";
import { FakeMongrel2 } from "../../support/fake-mongrel2.js";
import { disconnectNotice } from "../../support/mongrel2-messages.js";

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

describe("checkLink with a second daemon", () => {
  test("repeats the condition of the running daemon, and sends nothing", async (t) => {
    const { server } = await start(t);
    const { message, fix } = secondDaemonCondition(server.name, false);
    const condition = { code: "second_daemon", subject: server.name, message, fix, since: "" } as const;
    const served = { name: server.name, sendSpec: server.send_spec, recvSpec: server.recv_spec, live: true };
    const about = (subject: string) =>
      ({
        servers: [{ ...served, silent: false, fenceRoundTripMs: 1 }],
        conditions: [{ ...condition, subject }],
      }) as never as Status;
    assert.deepEqual(await checkLink(server, config, about(server.name), systemClock), [
      { level: "FAIL", what: message, fix: fix },
    ]);
    const [ofAnother] = await checkLink(server, config, about("another"), systemClock);
    assert.equal(ofAnother?.level, "ok");
  });

  test("recognizes a daemon that cannot be queried by the notices for its fences", async (t) => {
    for (const shared of [false, true]) {
      const { mongrel2, server } = await start(t, { shared });
      mongrel2.raw(disconnectNotice("json", server.send_ident, foreignFence()));
      const findings = await checkLink(server, config, undefined, systemClock);
      const warning = liveFindings.secondDaemon(server.send_spec);
      assert.deepEqual(
        findings.filter(({ what }) => what === warning.what),
        shared ? [] : [warning],
      );
    }
  });

  test("reports only the round trip when no other process reads requests", async (t) => {
    const { server } = await start(t);
    const findings = await checkLink(server, config, undefined, systemClock);
    const [, milliseconds] = /(\d+\.\d) ms/.exec(findings[0]?.what ?? "") ?? [];
    assert.deepEqual(findings[0], liveFindings.roundTrip(Number(milliseconds)));
    const warning = liveFindings.secondDaemon(server.send_spec);
    assert.ok(!findings.some(({ what }) => what === warning.what));
  });
});
