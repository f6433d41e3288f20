/** The doctor at real Mongrel2s that are set up in the wrong ways people do it: each fault is named, in one line, with its fix. */
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
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

/** As docs/operating.md has them. */
const GOOD = { "limits.tick_timer": 1, "net.tcp_keepalive": 1, "limits.content_length": 327_680 };

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

/** Lines that are not ok, but for the one that says that no daemon runs beside these Mongrel2s. */
const faults = ({ stdout }: Outcome): string[] =>
  stdout
    .split("\n")
    .filter((line) => /^(?:warn|FAIL)/.test(line) && !line.startsWith("warn  m2push: no daemon was found"));

/** That the one fault was found, and nothing else. */
function only(outcome: Outcome, fault: RegExp): void {
  const found = faults(outcome);
  assert.equal(found.length, 1, outcome.stdout);
  assert.match(found[0] ?? "", fault);
  assert.equal(outcome.code, found[0]?.startsWith("FAIL") ? 1 : 0);
}

test("a set-up without a fault is all ok, with exit code 0", async (t) => {
  const mongrel2 = await start(t);
  const outcome = await examine(mongrel2);
  assert.deepEqual(faults(outcome), [], outcome.stdout);
  assert.equal(outcome.code, 0);
  assert.match(outcome.stdout, /^ok {4}main: a fence came back after \d+\.\d ms: messages go both ways$/m);
  assert.match(outcome.stdout, /^ok {4}main: the control port answers for server c0ffee00-/m);
});

test("no daemon is a warning, which counts with --strict", async (t) => {
  const mongrel2 = await start(t);
  const { code, stdout, stderr } = await examine(mongrel2, { args: ["--strict"] });
  assert.match(stdout, /^warn {2}m2push: no daemon was found \(.*\): .*; fix: start it: m2push serve/m);
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
      level: "warn",
      subject: "main",
      what: "limits.buffer_size is 2048: Mongrel2 answers 400 to longer request heads: a long token, event id or list of topics does not fit",
      fix: "set 'limits.buffer_size': 4096",
    },
  );
});

test("an origin that Mongrel2 does not serve", async (t) => {
  const mongrel2 = await start(t);
  only(
    await examine(mongrel2, { hub: { origin: "https://localhost:6767" } }),
    /^warn {2}main: \[hub\] origin is https:\/\/localhost:6767, but Mongrel2 serves http at port \d+: .*; fix: set \[hub\] origin/,
  );
});

test("without the database the live checks run", async (t) => {
  const outcome = await examine(await start(t), { noDatabase: true });
  assert.deepEqual(faults(outcome), []);
  assert.match(outcome.stdout, /messages go both ways/);
  assert.doesNotMatch(outcome.stdout, /Handler|default_host/);
});

test("wrong ident", async (t) => {
  const mongrel2 = await start(t);
  const server = { send_ident: "another" };
  const found = faults(await examine(mongrel2, { server })).join("\n");
  assert.match(
    found,
    /^FAIL {2}main: send_ident is "another" here and "m2push-test-1" in Mongrel2; fix: make the two the same$/m,
  );
  only(
    await examine(mongrel2, { server, noDatabase: true }),
    /^FAIL {2}main: Mongrel2 takes replies that begin with "m2push-test-1 ", ours begin with "another "; fix: if m2push-test-1 is the Handler's send_ident, set it/,
  );
});

test("wrong ident with an empty recv_ident: the answer to the fence tells", async (t) => {
  const mongrel2 = await start(t, {
    handlers: [
      { routes: ["/esupdates()$", "/.well-known/mercure", "/.well-known/oauth-protected-resource"], recvIdent: "" },
    ],
  });
  const found = faults(await examine(mongrel2, { server: { send_ident: "another" }, noDatabase: true }));
  assert.match(
    found[0] ?? "",
    /^FAIL {2}main: Mongrel2 signs its messages with send_ident "m2push-test-1", here it is "another"; fix: /,
  );
  assert.match(
    found[1] ?? "",
    /^warn {2}main: recv_ident "" also takes replies of other idents; fix: set recv_ident="another "/,
  );
});

test("swapped specs", async (t) => {
  const mongrel2 = await start(t);
  const server = { send_spec: mongrel2.recvSpec, recv_spec: mongrel2.sendSpec };
  const found = faults(await examine(mongrel2, { server }));
  for (const fault of found)
    assert.match(fault, /^FAIL {2}main: send_spec and recv_spec are swapped: .*; fix: exchange the two/);
  assert.equal(found.length, 2, "by the database, and by looking");
  only(
    await examine(mongrel2, { server, noDatabase: true }),
    /^FAIL {2}main: send_spec and recv_spec are swapped: Mongrel2's SUB socket is at tcp:.*; fix: exchange the two/,
  );
});

test("wrong recv_ident", async (t) => {
  const mongrel2 = await start(t, {
    handlers: [
      {
        routes: ["/esupdates()$", "/.well-known/mercure", "/.well-known/oauth-protected-resource"],
        recvIdent: "_other",
      },
    ],
  });
  const fault =
    /^FAIL {2}main: recv_ident "_other" is no prefix of our replies \("m2push-test-1 "\): .*; fix: set recv_ident="m2push-test-1 "/;
  const found = faults(await examine(mongrel2));
  assert.equal(found.length, 2);
  for (const line of found) assert.match(line, fault);
  only(await examine(mongrel2, { noDatabase: true }), fault);
});

test("ipc sockets of another user", async (t) => {
  const mongrel2 = await start(t, { transport: "ipc" });
  const denied = await asStranger(mongrel2, () =>
    examine(mongrel2, { noDatabase: true, server: { control: undefined } }),
  );
  const fault = faults(denied).find((line) => line.startsWith("FAIL"));
  assert.match(
    fault ?? "",
    /^FAIL {2}main: this user may not connect to send_spec ipc:.*; fix: run m2push as the user of Mongrel2/,
  );
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

test("missing control port", async (t) => {
  const mongrel2 = await start(t);
  only(
    await examine(mongrel2, { server: { control: undefined } }),
    /^warn {2}main: no control port is configured: no client survives a restart of m2push; fix: add control = /,
  );
  const elsewhere = `ipc://${mongrel2.dir}/run/none`;
  const found = faults(await examine(mongrel2, { server: { control: elsewhere } }));
  assert.match(
    found[0] ?? "",
    /^FAIL {2}main: control is ipc:.*\/run\/none, but Mongrel2's control_port is "ipc:.*\/run\/control"; fix: make/,
  );
  assert.match(
    found[1] ?? "",
    /^FAIL {2}main: the control port does not answer at ipc:.*\/run\/none \(ENOENT\); fix: start Mongrel2, or set/,
  );
  assert.equal(found.length, 2);
});

test("max_fd too low", async (t) => {
  const mongrel2 = await start(t, { settings: { "superpoll.max_fd": 1024, "superpoll.hot_dividend": 2 } });
  only(
    await examine(mongrel2, { stream: { max_clients: 5000 } }),
    /^FAIL {2}main: Mongrel2 accepts 998 clients at most \(superpoll\.max_fd 1024, .*\), and \[stream\] max_clients is 5000: the others hang .*; fix: set 'superpoll.max_fd': 10240, 'superpoll.hot_dividend': 2$/,
  );
  only(
    await examine(mongrel2, { stream: { max_clients: 900 } }),
    /^FAIL {2}main: Mongrel2 serves 512 clients without delay \(superpoll\.max_fd 1024 \/ hot_dividend 2\), and .* is 900: .*; fix: set/,
  );
  only(
    await examine(mongrel2),
    /^warn {2}main: Mongrel2 serves 512 clients without delay .*, fewer than with its own defaults \(2560\); fix: set/,
  );
});

test("handler_targets lower than max_targets", async (t) => {
  const mongrel2 = await start(t, { settings: { "limits.handler_targets": 64 } });
  only(
    await examine(mongrel2),
    /^FAIL {2}main: limits\.handler_targets is 64, max_targets is 128: .*; fix: set max_targets = 64, or 'limits\.handler_targets': 128$/,
  );
});

test("a route that is not pinned", async (t) => {
  const mongrel2 = await start(t, {
    handlers: [{ routes: ["/esupdates", "/.well-known/mercure", "/.well-known/oauth-protected-resource"] }],
  });
  only(
    await examine(mongrel2),
    /^warn {2}main: the route '\/esupdates' is not pinned: .*; fix: write it '\/esupdates\(\)\$'$/,
  );
});

test("Mongrel2 is not running", async (t) => {
  const mongrel2 = await start(t);
  await mongrel2.kill9();
  const found = faults(await examine(mongrel2));
  assert.match(
    found[0] ?? "",
    /^FAIL {2}main: the control port does not answer at .* \(ECONNREFUSED\); fix: start Mongrel2/,
  );
  assert.match(
    found[1] ?? "",
    /^FAIL {2}main: nothing listens at send_spec tcp:.* nor at recv_spec tcp:.*; fix: start Mongrel2/,
  );
  assert.equal(found.length, 2);
});

test("Mongrel2 is stopped", async (t) => {
  const mongrel2 = await start(t);
  mongrel2.suspend();
  const found = faults(await examine(mongrel2, { noDatabase: true }));
  assert.match(
    found.at(-1) ?? "",
    /^FAIL {2}main: send_spec .* takes connections and says nothing; fix: look whether Mongrel2 is stopped/,
  );
});

test("wrong port", async (t) => {
  const mongrel2 = await start(t);
  const nowhere = `tcp://127.0.0.1:${await freePort()}`;
  const found = faults(await examine(mongrel2, { server: { send_spec: nowhere } }));
  assert.match(
    found[0] ?? "",
    /^FAIL {2}main: send_spec is tcp:.*, but the Handler with our recv_spec has "tcp:.*"; fix: set send_spec to/,
  );
  assert.match(
    found[1] ?? "",
    /^FAIL {2}main: nothing listens at send_spec tcp:.*, though something does at the other; fix: make send_spec/,
  );
  assert.equal(found.length, 2);
  const page = `tcp://127.0.0.1:${mongrel2.port}`;
  only(
    await examine(mongrel2, { server: { recv_spec: page }, noDatabase: true }),
    /^FAIL {2}main: what listens at recv_spec tcp:.* does not speak ZeroMQ; fix: make recv_spec the one of Mongrel2's Handler$/,
  );
});

test("keep-alives that come too late", async (t) => {
  const mongrel2 = await start(t, { settings: { "limits.min_ping": 30 } });
  only(
    await examine(mongrel2),
    /^FAIL {2}main: limits\.min_ping is 30 s, \[stream\] keepalive 45 s: quiet streams are closed; fix: set 'limits\.min_ping': 0$/,
  );
});

test("a handler that cannot be asked keeps its requests: no fence is sent beside it", async (t) => {
  const mongrel2 = await start(t);
  const handler = await RawHandler.connect(mongrel2);
  t.after(() => handler.close());
  only(
    await examine(mongrel2),
    /^warn {2}main: something is connected to tcp:.* already: .* so none was sent; fix: if it is m2push, set \[admin\] listen/,
  );
});
