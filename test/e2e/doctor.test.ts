/** The doctor at real Mongrel2s that are set up in the wrong ways people do it: each fault is named, in one line, with its mend. */
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { addDoctor } from "../../src/cli/doctor.js";
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
  readonly noDatabase?: boolean;
}

async function start(t: TestContext, options: Mongrel2Options = {}): Promise<Mongrel2> {
  const mongrel2 = await startMongrel2(options);
  t.after(() => mongrel2.stop());
  return mongrel2;
}

/** Runs the doctor on the configuration that fits this Mongrel2, but for what is given. */
function examine(mongrel2: Mongrel2, { server, stream = {}, admin = {}, noDatabase }: Setup = {}): Promise<Outcome> {
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
    ["[admin]", { listen: "", ...admin }],
  ];
  writeFileSync(file, tables.map(([name, values]) => `${name}\n${lines(values)}`).join("\n"));
  const args = noDatabase ? [] : ["--mongrel2-db", mongrel2.database];
  return runCommand(addDoctor, ["doctor", "-c", file, ...args]);
}

function lines(values: Table): string {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
    .join("");
}

/** Lines that are not ok. */
const faults = ({ stdout }: Outcome): string[] => stdout.split("\n").filter((line) => /^(?:warn|FAIL)/.test(line));

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
    /^FAIL {2}main: send_ident is "another" here and "m2push-test-1" in Mongrel2; mend: make the two the same$/m,
  );
  only(
    await examine(mongrel2, { server, noDatabase: true }),
    /^FAIL {2}main: Mongrel2 takes replies that begin with "m2push-test-1 ", ours begin with "another "; mend: if m2push-test-1 is the Handler's send_ident, set it/,
  );
});

test("wrong ident with an empty recv_ident: the answer to the fence tells", async (t) => {
  const mongrel2 = await start(t, { handlers: [{ routes: ["/esupdates()$", "/.well-known/mercure"], recvIdent: "" }] });
  const found = faults(await examine(mongrel2, { server: { send_ident: "another" }, noDatabase: true }));
  assert.match(
    found[0] ?? "",
    /^FAIL {2}main: Mongrel2 signs its messages with send_ident "m2push-test-1", here it is "another"; mend: /,
  );
  assert.match(
    found[1] ?? "",
    /^warn {2}main: recv_ident "" also takes replies of other idents; mend: set recv_ident="another "/,
  );
});

test("swapped specs", async (t) => {
  const mongrel2 = await start(t);
  const server = { send_spec: mongrel2.recvSpec, recv_spec: mongrel2.sendSpec };
  const found = faults(await examine(mongrel2, { server }));
  for (const fault of found)
    assert.match(fault, /^FAIL {2}main: send_spec and recv_spec are swapped: .*; mend: exchange the two/);
  assert.equal(found.length, 2, "by the database, and by looking");
  only(
    await examine(mongrel2, { server, noDatabase: true }),
    /^FAIL {2}main: send_spec and recv_spec are swapped: Mongrel2's SUB socket is at tcp:.*; mend: exchange the two/,
  );
});

test("wrong recv_ident", async (t) => {
  const mongrel2 = await start(t, {
    handlers: [{ routes: ["/esupdates()$", "/.well-known/mercure"], recvIdent: "_other" }],
  });
  const fault =
    /^FAIL {2}main: recv_ident "_other" is no prefix of our replies \("m2push-test-1 "\): .*; mend: set recv_ident="m2push-test-1 "/;
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
    /^FAIL {2}main: this user may not connect to send_spec ipc:.*; mend: run m2push as the user of Mongrel2/,
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
    /^warn {2}main: no control port is configured: no client survives a restart of m2push; mend: add control = /,
  );
  const elsewhere = `ipc://${mongrel2.dir}/run/none`;
  const found = faults(await examine(mongrel2, { server: { control: elsewhere } }));
  assert.match(
    found[0] ?? "",
    /^FAIL {2}main: control is ipc:.*\/run\/none, but Mongrel2's control_port is "ipc:.*\/run\/control"; mend: make/,
  );
  assert.match(
    found[1] ?? "",
    /^FAIL {2}main: the control port does not answer at ipc:.*\/run\/none \(ENOENT\); mend: start Mongrel2, or set/,
  );
  assert.equal(found.length, 2);
});

test("max_fd too low", async (t) => {
  const mongrel2 = await start(t, { settings: { "superpoll.max_fd": 1024, "superpoll.hot_dividend": 2 } });
  only(
    await examine(mongrel2, { stream: { max_clients: 5000 } }),
    /^FAIL {2}main: superpoll\.max_fd 1024 is too low for 5000 clients: the others hang; mend: set 'superpoll.max_fd': 10240, 'superpoll.hot_dividend': 2$/,
  );
  only(
    await examine(mongrel2, { stream: { max_clients: 900 } }),
    /^FAIL {2}main: superpoll\.max_fd 1024 \/ hot_dividend 2 = 512 is too low for 900 clients: .*; mend: set/,
  );
  only(
    await examine(mongrel2),
    /^warn {2}main: .* = 512 is good for as many clients, fewer than Mongrel2's own default; mend: set/,
  );
});

test("handler_targets lower than max_targets", async (t) => {
  const mongrel2 = await start(t, { settings: { "limits.handler_targets": 64 } });
  only(
    await examine(mongrel2),
    /^FAIL {2}main: limits\.handler_targets is 64, max_targets is 128: .*; mend: set max_targets = 64, or 'limits\.handler_targets': 128$/,
  );
});

test("a route that is not pinned", async (t) => {
  const mongrel2 = await start(t, { handlers: [{ routes: ["/esupdates", "/.well-known/mercure"] }] });
  only(
    await examine(mongrel2),
    /^warn {2}main: the route '\/esupdates' is not pinned: .*; mend: write it '\/esupdates\(\)\$'$/,
  );
});

test("Mongrel2 is not running", async (t) => {
  const mongrel2 = await start(t);
  await mongrel2.kill9();
  const found = faults(await examine(mongrel2));
  assert.match(
    found[0] ?? "",
    /^FAIL {2}main: the control port does not answer at .* \(ECONNREFUSED\); mend: start Mongrel2/,
  );
  assert.match(
    found[1] ?? "",
    /^FAIL {2}main: nothing listens at send_spec tcp:.* nor at recv_spec tcp:.*; mend: start Mongrel2/,
  );
  assert.equal(found.length, 2);
});

test("Mongrel2 is stopped", async (t) => {
  const mongrel2 = await start(t);
  mongrel2.suspend();
  const found = faults(await examine(mongrel2, { noDatabase: true }));
  assert.match(
    found.at(-1) ?? "",
    /^FAIL {2}main: send_spec .* takes connections and says nothing; mend: look whether Mongrel2 is stopped/,
  );
});

test("wrong port", async (t) => {
  const mongrel2 = await start(t);
  const nowhere = `tcp://127.0.0.1:${await freePort()}`;
  const found = faults(await examine(mongrel2, { server: { send_spec: nowhere } }));
  assert.match(
    found[0] ?? "",
    /^FAIL {2}main: send_spec is tcp:.*, but the Handler with our recv_spec has "tcp:.*"; mend: set send_spec to/,
  );
  assert.match(
    found[1] ?? "",
    /^FAIL {2}main: nothing listens at send_spec tcp:.*, though something does at the other; mend: make send_spec/,
  );
  assert.equal(found.length, 2);
  const page = `tcp://127.0.0.1:${mongrel2.port}`;
  only(
    await examine(mongrel2, { server: { recv_spec: page }, noDatabase: true }),
    /^FAIL {2}main: what listens at recv_spec tcp:.* does not speak ZeroMQ; mend: make recv_spec the one of Mongrel2's Handler$/,
  );
});

test("keep-alives that come too late", async (t) => {
  const mongrel2 = await start(t, { settings: { "limits.min_ping": 30 } });
  only(
    await examine(mongrel2),
    /^FAIL {2}main: limits\.min_ping is 30 s, \[stream\] keepalive 45 s: quiet streams are closed; mend: set 'limits\.min_ping': 0$/,
  );
});

test("a handler that cannot be asked keeps its requests: no fence is sent beside it", async (t) => {
  const mongrel2 = await start(t);
  const handler = await RawHandler.connect(mongrel2);
  t.after(() => handler.close());
  only(
    await examine(mongrel2),
    /^warn {2}main: something is connected to tcp:.* already: .* so none was sent; mend: if it is m2push, set \[admin\] listen/,
  );
});
