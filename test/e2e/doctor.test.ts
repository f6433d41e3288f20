/** Doctor beside real Mongrel2 processes with common errors in their configuration: one line names each fault and its fix. */
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { databaseFindings } from "../../src/cli/doctor/database-findings.js";
import { type Finding, findingLine } from "../../src/cli/doctor/finding.js";
import { limitFindings } from "../../src/cli/doctor/limit-findings.js";
import { liveFindings } from "../../src/cli/doctor/live-findings.js";
import { addDoctor } from "../../src/cli/doctor-command.js";
import { type Outcome, runCommand } from "../cli/harness.js";
import { RawHandler } from "../support/handler.js";
import { type Mongrel2, type Mongrel2Options, startMongrel2 } from "../support/mongrel2.js";
import { freePort } from "../support/ports.js";

type Table = Readonly<Record<string, unknown>>;

interface Setup {
  /** Over the right [[mongrel2]]; undefined takes a key away. */
  readonly server?: Table;
  readonly stream?: Table;
  readonly admin?: Table;
  readonly hub?: Table;
  /** Further arguments. */
  readonly args?: readonly string[];
  readonly noDatabase?: boolean;
}

/** The routes that m2push needs. */
const ROUTES = ["/esupdates()$", "/.well-known/mercure", "/.well-known/oauth-protected-resource"];

/** As docs/operating.md has them. */
const GOOD = {
  "limits.tick_timer": 1,
  "net.tcp_keepalive": 1,
  "limits.content_length": 327_680,
  "upload.temp_store": "/dev/null/XXXXXX",
};

async function start(t: TestContext, options: Mongrel2Options = {}): Promise<Mongrel2> {
  const mongrel2 = await startMongrel2({ ...options, settings: { ...GOOD, ...options.settings } });
  t.after(() => mongrel2.stop());
  return mongrel2;
}

/** Runs the doctor on the configuration that fits this Mongrel2, but for what is given. */
function examine(
  mongrel2: Mongrel2,
  { server, stream = {}, admin = {}, hub = {}, args = [], noDatabase }: Setup = {},
): Promise<Outcome> {
  const right = {
    send_spec: mongrel2.sendSpec,
    recv_spec: mongrel2.recvSpec,
    send_ident: mongrel2.sendIdent,
    control: mongrel2.controlSpec,
  };
  const file = join(mongrel2.dir, "m2push.toml");
  const tables: [string, Table][] = [
    ["[[mongrel2]]", { ...right, ...server }],
    ["[stream]", stream],
    ["[hub]", { origin: `http://localhost:${mongrel2.port}`, ...hub }],
    ["[admin]", { listen: "", ...admin }],
  ];
  writeFileSync(file, tables.map(([name, values]) => `${name}\n${lines(values)}`).join("\n"));
  const databaseArgs = noDatabase ? [] : ["--mongrel2-db", mongrel2.database];
  return runCommand(addDoctor, ["doctor", "-c", file, ...databaseArgs, ...args]);
}

function lines(values: Table): string {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
    .join("");
}

/** Lines that are not ok, except the one that says that no daemon runs beside these Mongrel2 processes. */
const faults = ({ stdout }: Outcome): string[] =>
  stdout
    .split("\n")
    .filter((line) => /^(?:warn|FAIL)/.test(line) && !line.startsWith("warn  m2push: no daemon was found"));

const linesOf = (...findings: readonly Finding[]): string[] => findings.map((finding) => findingLine("main", finding));

/** Checks that exactly these findings are not ok, in this order. */
function only(outcome: Outcome, ...findings: readonly Finding[]): void {
  assert.deepEqual(faults(outcome), linesOf(...findings), outcome.stdout);
  assert.equal(outcome.code, findings.some(({ level }) => level === "FAIL") ? 1 : 0);
}

describe("Doctor, end to end", { concurrency: 4 }, () => {
  test("a set-up without a fault is all ok, with exit code 0", async (t) => {
    const mongrel2 = await start(t);
    const outcome = await examine(mongrel2);
    assert.deepEqual(faults(outcome), [], outcome.stdout);
    assert.equal(outcome.code, 0);
    const [, milliseconds] = /after (\d+\.\d) ms/.exec(outcome.stdout) ?? [];
    const [, uuid = ""] = /server (c0ffee00-\S+)/.exec(outcome.stdout) ?? [];
    const lines = outcome.stdout.split("\n");
    for (const line of linesOf(liveFindings.roundTrip(Number(milliseconds)), liveFindings.controlGood(uuid)))
      assert.ok(lines.includes(line), outcome.stdout);
  });

  test("no daemon is a warning, which counts with --strict", async (t) => {
    const mongrel2 = await start(t);
    const { code, stdout, stderr } = await examine(mongrel2, { args: ["--strict"] });
    assert.equal(stdout.split("\n")[0], findingLine("m2push", liveFindings.daemonMissing("[admin] listen is off")));
    assert.match(stderr, /^m2push: 1 of \d+ checks failed \(--strict: 1 of them is a warning\)$/m);
    assert.equal(code, 1);
  });

  test("one JSON document has all findings", async (t) => {
    const mongrel2 = await start(t, { settings: { "limits.buffer_size": 2048 } });
    const { code, stdout } = await examine(mongrel2, { args: ["--json"] });
    const { checks, failed, warnings, findings } = JSON.parse(stdout);
    assert.deepEqual([checks, failed, warnings, code], [findings.length, 0, 2, 0]);
    assert.deepEqual(
      findings.find(({ what }: { what: string }) => what.startsWith("limits.buffer_size")),
      {
        subject: "main",
        ...databaseFindings.settingBad(
          "limits.buffer_size",
          2048,
          "Mongrel2 answers 400 to request heads with a long token, event id or list of topics",
          4096,
        ),
      },
    );
  });

  test("an origin that Mongrel2 does not serve", async (t) => {
    const mongrel2 = await start(t);
    only(
      await examine(mongrel2, { hub: { origin: "https://localhost:6767" } }),
      databaseFindings.originDiffers(
        "https://localhost:6767",
        "http",
        mongrel2.port,
        `http://localhost:${mongrel2.port}`,
      ),
    );
  });

  test("without the database the live checks run", async (t) => {
    const outcome = await examine(await start(t), { noDatabase: true });
    assert.deepEqual(faults(outcome), []);
    assert.match(outcome.stdout, /a fence returned/);
    assert.doesNotMatch(outcome.stdout, /Handler|default_host/);
  });

  test("wrong ident", async (t) => {
    const mongrel2 = await start(t);
    const server = { send_ident: "another" };
    const found = faults(await examine(mongrel2, { server }));
    assert.ok(found.includes(findingLine("main", databaseFindings.sendIdentDiffers("another", "m2push-test-1"))));
    only(
      await examine(mongrel2, { server, noDatabase: true }),
      liveFindings.prefixDiffers("m2push-test-1 ", "another ", "m2push-test-1"),
    );
  });

  test("wrong ident with an empty recv_ident: found by the answer to the fence", async (t) => {
    const mongrel2 = await start(t, {
      handlers: [{ routes: ROUTES, recvIdent: "" }],
    });
    only(
      await examine(mongrel2, { server: { send_ident: "another" }, noDatabase: true }),
      liveFindings.identOfAnother("m2push-test-1", "another"),
      databaseFindings.recvIdentTooShort("", "another "),
    );
  });

  test("swapped specs", async (t) => {
    const mongrel2 = await start(t);
    const server = { send_spec: mongrel2.recvSpec, recv_spec: mongrel2.sendSpec };
    const live = liveFindings.specsSwapped(server.send_spec, server.recv_spec);
    only(await examine(mongrel2, { server }), databaseFindings.specsSwapped(), live);
    only(await examine(mongrel2, { server, noDatabase: true }), live);
  });

  test("wrong recv_ident", async (t) => {
    const mongrel2 = await start(t, {
      handlers: [{ routes: ROUTES, recvIdent: "_other" }],
    });
    const fault = databaseFindings.recvIdentWrong("_other", "m2push-test-1 ");
    only(await examine(mongrel2), fault, fault);
    only(await examine(mongrel2, { noDatabase: true }), fault);
  });

  test("missing control port", async (t) => {
    const mongrel2 = await start(t);
    only(await examine(mongrel2, { server: { control: undefined } }), liveFindings.controlMissing("main", false));
    const elsewhere = `ipc://${mongrel2.dir}/run/none`;
    only(
      await examine(mongrel2, { server: { control: elsewhere } }),
      databaseFindings.controlPortDiffers(elsewhere, mongrel2.controlSpec),
      liveFindings.controlSilent(elsewhere, "ENOENT"),
    );
  });

  test("max_fd too low", async (t) => {
    const mongrel2 = await start(t, { settings: { "superpoll.max_fd": 1024, "superpoll.hot_dividend": 2 } });
    const hot = { clients: 512, maxFd: 1024, dividend: 2 };
    const fix = limitFindings.raiseMaxFd(10_240);
    only(
      await examine(mongrel2, { stream: { max_clients: 5000 } }),
      limitFindings.tooManyClients(998, 1024, 26, limitFindings.maxClients(5000), fix),
    );
    only(
      await examine(mongrel2, { stream: { max_clients: 900 } }),
      limitFindings.hotSetTooSmall(hot, limitFindings.maxClients(900), fix),
    );
    only(await examine(mongrel2), limitFindings.hotSetBelowDefault(hot, 2560, fix));
  });

  test("handler_targets lower than max_targets", async (t) => {
    const mongrel2 = await start(t, { settings: { "limits.handler_targets": 64 } });
    only(await examine(mongrel2), limitFindings.targetsTooHigh(64, 128));
  });

  test("a route that matches other paths too", async (t) => {
    const mongrel2 = await start(t, {
      handlers: [{ routes: ["/esupdates", "/.well-known/mercure", "/.well-known/oauth-protected-resource"] }],
    });
    only(await examine(mongrel2), databaseFindings.routeNotAnchored("/esupdates", "/esupdates"));
  });

  test("Mongrel2 is not running", async (t) => {
    const mongrel2 = await start(t);
    await mongrel2.kill9();
    only(
      await examine(mongrel2),
      liveFindings.controlSilent(mongrel2.controlSpec, "ECONNREFUSED"),
      liveFindings.nothingListens(mongrel2.sendSpec, mongrel2.recvSpec, "ECONNREFUSED"),
    );
  });

  test("Mongrel2 is stopped", async (t) => {
    const mongrel2 = await start(t);
    mongrel2.suspend();
    const found = faults(await examine(mongrel2, { noDatabase: true }));
    assert.equal(found.at(-1), findingLine("main", liveFindings.mute("send_spec", mongrel2.sendSpec)));
  });

  test("wrong port", async (t) => {
    const mongrel2 = await start(t);
    const nowhere = `tcp://127.0.0.1:${await freePort()}`;
    only(
      await examine(mongrel2, { server: { send_spec: nowhere } }),
      databaseFindings.specDiffers("send_spec", nowhere, mongrel2.sendSpec),
      liveFindings.oneAbsent("send_spec", nowhere, "ECONNREFUSED"),
    );
    const page = `tcp://127.0.0.1:${mongrel2.port}`;
    only(
      await examine(mongrel2, { server: { recv_spec: page }, noDatabase: true }),
      liveFindings.foreign("recv_spec", page),
    );
  });

  test("keep-alives that are too rare", async (t) => {
    const mongrel2 = await start(t, { settings: { "limits.min_ping": 30 } });
    only(await examine(mongrel2), limitFindings.keepaliveTooLong(30, 45));
  });

  test("a handler that cannot be queried keeps its requests: doctor sends no fence", async (t) => {
    const mongrel2 = await start(t);
    const handler = await RawHandler.connect(mongrel2);
    t.after(() => handler.close());
    only(await examine(mongrel2), liveFindings.occupied(mongrel2.sendSpec));
  });
});

/** Alone: the user is that of the whole process. */
describe("Doctor as another user, end to end", () => {
  test("ipc sockets of another user", async (t) => {
    const mongrel2 = await start(t, { transport: "ipc" });
    const denied = await asStranger(mongrel2, () =>
      examine(mongrel2, { noDatabase: true, server: { control: undefined } }),
    );
    const fault = faults(denied).find((line) => line.startsWith("FAIL"));
    const path = mongrel2.sendSpec.slice("ipc://".length);
    assert.equal(fault, findingLine("main", liveFindings.denied("send_spec", mongrel2.sendSpec, path)));
    assert.equal(denied.code, 1);
  });

  /** Runs with sockets that this process may not connect to: as another user where we are root, else without permission. */
  async function asStranger<T>(mongrel2: Mongrel2, run: () => Promise<T>): Promise<T> {
    chmodSync(mongrel2.dir, 0o777);
    if (process.getuid?.() !== 0) {
      for (const spec of [mongrel2.sendSpec, mongrel2.recvSpec]) chmodSync(spec.slice("ipc://".length), 0);
      return run();
    }
    process.seteuid?.(65_534);
    try {
      return await run();
    } finally {
      process.seteuid?.(0);
    }
  }
});
