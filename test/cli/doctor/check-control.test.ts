/** The control port as the doctor asks it: a REP socket of libzmq that answers as Mongrel2 does, or no socket at all. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Reply } from "zeromq";
import { checkControl } from "../../../src/cli/doctor/check-control.js";
import { liveFindings } from "../../../src/cli/doctor/live-findings.js";
import { loadConfig } from "../../../src/config/load-config.js";
import { encode } from "../../../src/protocol/tnetstring.js";
import { systemClock } from "../../../src/util/clock.js";
import { freePort } from "../../support/ports.js";

const { config } = loadConfig({ cwd: "/home/x" });
const [server] = config.mongrel2;

const tableOf = (uuid: unknown) =>
  encode(
    new Map<string, never>([
      ["headers", ["uuid"] as never],
      ["rows", [[uuid]] as never],
    ]),
  );
const REFUSED = encode(
  new Map<string, never>([
    ["code", "INVALID_ARGUMENT" as never],
    ["error", "no such command" as never],
  ]),
);

/** Answers one command; resolves with the address. */
async function controlPort(t: TestContext, answer: Buffer): Promise<string> {
  const spec = `tcp://127.0.0.1:${await freePort()}`;
  const reply = new Reply({ linger: 0 });
  await reply.bind(spec);
  t.after(() => reply.close());
  void reply.receive().then(() => reply.send(answer));
  return spec;
}

const check = (control: string, known?: readonly string[]) => checkControl({ ...server, control }, known, systemClock);

describe("checkControl", () => {
  test("warns when none is configured: no stream survives a restart, and behind a proxy private events are not served", async () => {
    for (const bind of [false, true]) {
      const { findings } = await checkControl({ ...server, control: undefined, bind }, undefined, systemClock);
      assert.deepEqual(findings, [liveFindings.controlMissing(server.name, bind)]);
    }
  });

  test("finds the server that answers, where no database or that of this server was read", async (t) => {
    for (const known of [undefined, ["other", "u"]]) {
      const result = await check(await controlPort(t, tableOf("u")), known);
      assert.deepEqual(result, { findings: [liveFindings.controlGood("u")], uuid: "u" });
    }
  });

  test("finds that another server answers than that of the database", async (t) => {
    const control = await controlPort(t, tableOf("u"));
    const { findings } = await check(control, ["other"]);
    assert.deepEqual(findings, [liveFindings.controlOfAnother(control, "u")]);
    assert.equal(findings[0]?.level, "FAIL");
  });

  test("finds a port where nothing listens", async () => {
    const control = `tcp://127.0.0.1:${await freePort()}`;
    const result = await check(control, ["u"]);
    assert.deepEqual(result, { findings: [liveFindings.controlSilent(control, "ECONNREFUSED")], uuid: undefined });
  });

  test("finds that the program at the port answers with something else than the server's uuid", async (t) => {
    for (const answer of [tableOf(7), REFUSED]) {
      const control = await controlPort(t, answer);
      assert.deepEqual((await check(control)).findings, [liveFindings.controlSilent(control, undefined)]);
    }
  });
});
