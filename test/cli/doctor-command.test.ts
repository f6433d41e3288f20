/** The doctor's checks one by one; the whole at real Mongrel2s is in e2e/doctor.test.ts. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { checkCapacity, checkIdle, checkTargets } from "../../src/cli/doctor/check-limits.js";
import { checkControlPort, checkDefaultHost, checkRoutes, serversOf } from "../../src/cli/doctor/check-site.js";
import { checkIdents, findHandler } from "../../src/cli/doctor/find-handler.js";
import { findMongrel2, isConnected } from "../../src/cli/doctor/find-mongrel2.js";
import { type Finding, fail, lineOf, ok, warn } from "../../src/cli/doctor/finding.js";
import { type Probe, probe } from "../../src/cli/doctor/probe.js";
import { roundTrip } from "../../src/cli/doctor/round-trip.js";
import { addDoctor } from "../../src/cli/doctor-command.js";
import { loadConfig } from "../../src/config/load-config.js";
import type { Config, ServerConfig } from "../../src/config/schema.js";
import type { HandlerRow, Mongrel2Database } from "../../src/mongrel2/mongrel2-database.js";
import { isSameEndpoint } from "../../src/mongrel2/socket-spec.js";
import { type Clock, systemClock } from "../../src/util/clock.js";
import { FakeMongrel2 } from "../support/fake-mongrel2.js";
import { freePort } from "../support/ports.js";
import { runCommand } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "m2push-doctor-test-"));
after(() => rmSync(folder, { recursive: true }));

/** Defaults, which are what config/mongrel2.conf has. */
const config: Config = loadConfig({ cwd: "/home/x" }).config;
const [server] = config.mongrel2;
const ours = (changes: Partial<ServerConfig> = {}): ServerConfig => ({ ...server, ...changes });
const withStream = (stream: Partial<Config["stream"]>): Config => ({
  ...config,
  stream: { ...config.stream, ...stream },
});

const handler = (changes: Partial<HandlerRow> = {}): HandlerRow => ({
  id: 1,
  sendSpec: server.send_spec,
  sendIdent: server.send_ident,
  recvSpec: server.recv_spec,
  recvIdent: `${server.send_ident} `,
  protocol: "tnetstring",
  ...changes,
});

const database = (changes: Partial<Mongrel2Database> = {}): Mongrel2Database => ({
  servers: [
    {
      id: 1,
      uuid: "u",
      name: "main",
      chroot: "",
      controlPort: "ipc://run/control",
      defaultHost: "localhost",
      bindAddr: "127.0.0.1",
      port: 6767,
      useSsl: false,
    },
  ],
  hosts: [{ id: 1, serverId: 1, name: "localhost", matching: "localhost" }],
  routes: [
    { path: "/", hostId: 1, targetId: 1, targetType: "dir" },
    { path: "/esupdates()$", hostId: 1, targetId: 1, targetType: "handler" },
    { path: "/.well-known/mercure", hostId: 1, targetId: 1, targetType: "handler" },
    { path: "/.well-known/oauth-protected-resource", hostId: 1, targetId: 1, targetType: "handler" },
  ],
  handlers: [handler()],
  settings: new Map(),
  ...changes,
});

/** A tenth of the patience. */
const hurried: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / 10, run) };

const settings = (values: Record<string, string>) => database({ settings: new Map(Object.entries(values)) });
const text = (findings: Finding | readonly Finding[]) =>
  [findings]
    .flat()
    .map((it) => lineOf("main", it))
    .join("\n");

test("a finding is one line, whatever stands in it", () => {
  assert.equal(lineOf("main", ok("good")), "ok    main: good");
  assert.equal(lineOf("main", warn("so so", "do this")), "warn  main: so so; fix: do this");
  assert.equal(lineOf("main", fail("a\nb\x1b[31m\x9bc", "d")), "FAIL  main: a b\\u001b[31m\\u009bc; fix: d");
});

const SPECS: [ours: string, theirs: string, same: boolean][] = [
  ["tcp://127.0.0.1:9999", "tcp://127.0.0.1:9999", true],
  ["tcp://127.0.0.1:9999", "tcp://*:9999", true],
  ["tcp://127.0.0.1:9999", "tcp://0.0.0.0:9999", true],
  ["tcp://localhost:9999", "tcp://127.0.0.1:9999", true],
  ["tcp://push.example:9999", "tcp://10.0.0.7:9999", true],
  ["tcp://10.0.0.8:9999", "tcp://10.0.0.7:9999", false],
  ["tcp://127.0.0.1:9999", "tcp://127.0.0.1:9998", false],
  ["ipc:///srv/run/push", "ipc://run/push", true],
  ["ipc:///srv/run/push", "ipc:///srv/run/push", true],
  ["ipc:///other/run/push", "ipc://run/push", false],
  ["ipc:///srv/run/push", "tcp://127.0.0.1:9999", false],
  ["tcp://127.0.0.1:9999", "nonsense", false],
];

for (const [mine, theirs, same] of SPECS) {
  test(`${mine} ${same ? "reaches" : "does not reach"} what is bound as ${theirs}`, () => {
    assert.equal(isSameEndpoint(mine, theirs, ["/srv", "/tmp"]), same);
  });
}

test("the handler row is found by its two specs", () => {
  const { row, findings } = findHandler(ours(), database(), []);
  assert.equal(row?.id, 1);
  assert.equal(text(findings), "ok    main: send_spec and recv_spec are those of handler 1");
});

test("one wrong spec is named, with what Mongrel2 has", () => {
  const recv = findHandler(ours({ recv_spec: "tcp://127.0.0.1:1" }), database(), []);
  assert.match(
    text(recv.findings),
    /^FAIL {2}main: recv_spec is tcp:\/\/127\.0\.0\.1:1, but .* has "tcp:\/\/127\.0\.0\.1:9998"; fix: /,
  );
  const send = findHandler(ours({ send_spec: "tcp://127.0.0.1:1" }), database(), []);
  assert.match(
    text(send.findings),
    /^FAIL {2}main: send_spec is tcp:\/\/127\.0\.0\.1:1, but .* has "tcp:\/\/127\.0\.0\.1:9999"; fix: /,
  );
});

test("two wrong specs: the handler is known by its ident, or all that there are are named", () => {
  const away = { send_spec: "tcp://127.0.0.1:1", recv_spec: "tcp://127.0.0.1:2" };
  const byIdent = findHandler(ours(away), database(), []);
  assert.equal(byIdent.row?.id, 1);
  assert.match(text(byIdent.findings), /^FAIL .*: the one with our send_ident has tcp:.*9999 and tcp:.*9998; fix: /);
  const unknown = findHandler(ours({ ...away, send_ident: "x" }), database(), []);
  assert.equal(unknown.row, undefined);
  assert.match(text(unknown.findings), /^FAIL .*: it has tcp:.*9999 and tcp:.*9998; fix: /);
  assert.match(text(findHandler(ours(away), database({ handlers: [] }), []).findings), /: it has none; fix: /);
});

test("two Handlers with the same specs and different idents are merged by Mongrel2, which is told", () => {
  const twice = database({ handlers: [handler(), handler({ id: 2, sendIdent: "other" })] });
  assert.match(
    text(findHandler(ours(), twice, []).findings),
    /^warn {2}main: 2 Handlers have these two specs .*; fix: /m,
  );
});

test("behind a proxy only the ident can be compared", () => {
  const there = findHandler(ours({ bind: true, send_spec: "tcp://*:1" }), database(), []);
  assert.deepEqual([there.row?.id, there.findings[0]?.level], [1, "ok"]);
  assert.equal(findHandler(ours({ bind: true, send_ident: "x" }), database(), []).findings[0]?.level, "FAIL");
});

const IDENTS: [what: string, row: Partial<HandlerRow>, servers: number, line: RegExp][] = [
  [
    "characters that make every reply unreadable",
    { sendIdent: "a_b" },
    1,
    /^FAIL {2}main: the Handler's send_ident "a_b" has other characters .*; fix: /m,
  ],
  [
    "another ident",
    { sendIdent: "other" },
    1,
    /^FAIL {2}main: send_ident is "54c6.*" here and "other" in Mongrel2; fix: /m,
  ],
  [
    "an empty recv_ident of one server",
    { recvIdent: "" },
    1,
    /^warn {2}main: recv_ident "" also takes replies of other idents; fix: /m,
  ],
  [
    "an empty recv_ident of several",
    { recvIdent: "" },
    2,
    /^FAIL {2}main: recv_ident is empty, and 2 servers share this daemon.*; fix: /m,
  ],
  [
    "a recv_ident without its space",
    { recvIdent: server.send_ident },
    1,
    /^warn {2}main: recv_ident "54c6.*" also takes .*; fix: set recv_ident="54c6\S+ "/m,
  ],
  [
    "another recv_ident",
    { recvIdent: "x " },
    1,
    /^FAIL {2}main: recv_ident "x " is no prefix of our replies .*; fix: /m,
  ],
  [
    "a protocol that Mongrel2 does not know",
    { protocol: "tnetstrings" },
    1,
    /^warn {2}main: protocol "tnetstrings" is unknown.*; fix: /m,
  ],
];

for (const [what, row, servers, line] of IDENTS) {
  test(`idents: ${what}`, () => {
    const findings = checkIdents(ours(), handler(row), servers);
    assert.match(text(findings), line);
    assert.equal(findings.filter(({ level }) => level !== "ok").length, 1);
  });
}

test("idents that fit are ok", () => {
  for (const protocol of ["json", "", "tnetstring"]) {
    assert.ok(checkIdents(ours(), handler({ protocol }), 2).every(({ level }) => level === "ok"));
  }
});

test("routes: both paths lead to the handler, the stream's alone", () => {
  assert.equal(
    text(checkRoutes(config, handler(), database())),
    "ok    main: the route '/esupdates()$' is pinned to that path\nok    main: /.well-known/mercure leads here\n" +
      "ok    main: /.well-known/oauth-protected-resource/.well-known/mercure leads here",
  );
});

test("routes: a path that leads elsewhere, or nowhere", () => {
  const [page] = database().routes;
  assert.ok(page);
  const none = text(checkRoutes(config, handler(), database({ routes: [page] })));
  assert.match(
    none,
    /^FAIL {2}main: no route leads \/esupdates to this Handler \('\/' leads it to a dir\): no plain event streams; fix: add the route '\/esupdates\(\)\$'/m,
  );
  assert.match(none, /^warn {2}main: no route leads \/\.well-known\/mercure to this Handler/m);
  assert.match(
    text(checkRoutes(config, handler(), database({ routes: [] }))),
    /^FAIL {2}main: no route leads \/esupdates to this Handler: no plain event streams; fix/m,
  );
  assert.match(
    text(checkRoutes(config, handler({ id: 2 }), database())),
    /\('\/esupdates\(\)\$' leads it to a handler\)/,
  );
});

test("the servers of a handler are those whose routes lead to it", () => {
  assert.deepEqual(
    serversOf(handler(), database()).map(({ uuid }) => uuid),
    ["u"],
  );
  assert.deepEqual(serversOf(handler({ id: 2 }), database()), []);
});

test("default_host must name a Host of the same server", () => {
  const [row] = database().servers;
  assert.ok(row);
  assert.equal(checkDefaultHost(row, database()).level, "ok");
  assert.match(
    text(checkDefaultHost({ ...row, defaultHost: "nobody" }, database())),
    /^FAIL .* "nobody" names no Host: .*; fix: set it to one of "localhost"$/,
  );
});

test("the control port: Mongrel2's own, its setting, its default", () => {
  const [row] = database().servers;
  assert.ok(row);
  const control = "ipc:///srv/run/control";
  assert.deepEqual(checkControlPort(ours({ control }), row, database(), ["/srv"]), []);
  assert.deepEqual(checkControlPort(ours({ control }), { ...row, controlPort: "" }, database(), ["/srv"]), []);
  assert.deepEqual(checkControlPort(ours(), row, database(), ["/srv"]), [], "without one there is nothing to compare");
  const set = settings({ control_port: "tcp://127.0.0.1:5" });
  assert.match(
    text(checkControlPort(ours({ control }), { ...row, controlPort: "" }, set, ["/srv"])),
    /^FAIL .* control_port is "tcp:\/\/127\.0\.0\.1:5"; fix/,
  );
});

test("max_targets must not be above handler_targets", () => {
  assert.equal(checkTargets(ours(), database()).level, "ok");
  assert.equal(checkTargets(ours(), settings({ "limits.handler_targets": "1024" })).level, "ok");
  assert.equal(checkTargets(ours({ max_targets: 256 }), database()).level, "FAIL");
});

const IDLE: [values: Record<string, string>, keepalive: number, level: Finding["level"]][] = [
  [{}, 45_000, "ok"],
  [{}, 120_000, "FAIL"],
  [{}, 100_000, "warn"],
  [{ "limits.min_ping": "0" }, 500_000, "ok"],
  [{ "limits.kill_limit": "3" }, 500_000, "ok"],
  [{ "limits.min_write_rate": "0" }, 500_000, "ok"],
  [{ "limits.kill_limit": "1" }, 45_000, "FAIL"],
  [{ "limits.kill_limit": "1", "limits.min_ping": "0" }, 45_000, "FAIL"],
  [{ "limits.min_ping": "nonsense" }, 45_000, "ok"],
];

for (const [values, keepalive, level] of IDLE) {
  test(`idle streams with ${JSON.stringify(values)} and a keep-alive every ${keepalive / 1000} s: ${level}`, () => {
    assert.equal(checkIdle(withStream({ keepalive }), settings(values)).level, level);
  });
}

const CAPACITY: [
  values: Record<string, string>,
  most: number | undefined,
  now: number,
  files: number | undefined,
  line: RegExp,
][] = [
  [
    {},
    undefined,
    0,
    undefined,
    /^ok .*: Mongrel2 serves 2560 clients without delay \(superpoll\.max_fd 10240 \/ hot_dividend 4\)$/,
  ],
  [
    {},
    2000,
    0,
    10_240,
    /^ok .* serves 2560 clients .*, and \[stream\] max_clients is 2000\nok .* open files .* is 10240, enough for superpoll\.max_fd 10240$/,
  ],
  [
    {},
    undefined,
    2600,
    undefined,
    /^FAIL .* serves 2560 clients .*, and 2600 are connected now: with more than that, output can wait 0\.5 s; fix: set 'superpoll.max_fd': 10240, 'superpoll.hot_dividend': 2$/,
  ],
  [
    {},
    20_000,
    0,
    undefined,
    /^FAIL .* accepts 10214 clients at most .* max_clients is 20000: the others hang before they are accepted; fix: set 'superpoll.max_fd': 40052, /,
  ],
  [{}, 50_000, 0, undefined, /^FAIL .*; fix: spread the clients over several Mongrel2 servers/],
  [
    { "superpoll.max_fd": "512" },
    undefined,
    0,
    undefined,
    /^warn .* serves 128 clients without delay .*, fewer than with its own defaults \(2560\)/,
  ],
  [
    { "superpoll.hot_dividend": "1" },
    10,
    0,
    undefined,
    /^FAIL .* makes Mongrel2 crash at its start; fix: set it to 2$/,
  ],
  [
    {},
    10,
    0,
    1024,
    /^ok .*\nFAIL .* open files of Mongrel2's process is 1024, below superpoll\.max_fd 10240: clients beyond it hang; fix: /,
  ],
];

for (const [values, most, now, files, line] of CAPACITY) {
  test(`room for ${most ?? "?"} clients, ${now} there, ${JSON.stringify(values)}, ${files ?? "?"} files`, () => {
    assert.match(text(checkCapacity({ most, now }, files, settings(values))), line);
  });
}

test("routes: metadata of the hub are needed where draft-08 is served", () => {
  const routes = database().routes.slice(0, -1);
  assert.match(
    text(checkRoutes(config, handler(), database({ routes }))),
    /^warn {2}main: no route leads \/\.well-known\/oauth-protected-resource\S* to this Handler .*: clients of draft-08 .*; fix: add the route '\/\.well-known\/oauth-protected-resource' /m,
  );
  const old: Config = { ...config, hub: { ...config.hub, protocol: "0.x" } };
  assert.doesNotMatch(text(checkRoutes(old, handler(), database({ routes }))), /warn|oauth/);
});

test("a database that is none is a finding, and the live checks go on", async () => {
  const file = join(folder, "none.sqlite");
  const spec = async () => `tcp://127.0.0.1:${await freePort()}`;
  const toml = `[[mongrel2]]\nsend_spec="${await spec()}"\nrecv_spec="${await spec()}"\n[admin]\nlisten=""\n`;
  writeFileSync(join(folder, "m2push.toml"), toml);
  writeFileSync(file, "this is no database".repeat(100));
  for (const [name, why] of [
    ["none.sqlite", /file is not a database/],
    ["absent.sqlite", /ENOENT/],
  ] as const) {
    const args = ["doctor", "-c", "m2push.toml", "--mongrel2-db", name];
    const { stdout, stderr, code } = await runCommand(addDoctor, args, { cwd: folder, clock: hurried });
    assert.equal(code, 1);
    const [, bad] = stdout.split("\n");
    assert.match(
      bad ?? "",
      /^FAIL {2}mongrel2: .* cannot be read as a configuration database of Mongrel2: .*; fix: make it with: m2sh load/,
    );
    assert.match(bad ?? "", why);
    assert.match(stdout, /^FAIL {2}main: nothing listens at send_spec/m);
    assert.match(stderr, /^m2push: 2 of 5 checks failed\n$/);
  }
});

// ---- Looking at addresses ---------------------------------------------------------------------------------------------

/** A server that does as it is told with each connection. */
async function listen(t: TestContext, serve: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const it: Server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    serve(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => it.listen(port, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => it.close(resolve));
  });
  return `tcp://127.0.0.1:${port}`;
}

const GREETING = Buffer.concat([
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]),
  Buffer.from("NULL".padEnd(52, "\0")),
]);

function ready(type: string): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(type.length);
  const body = Buffer.concat([
    Buffer.from("\x05READY\x0bSocket-Type"),
    size,
    Buffer.from(type),
    Buffer.from("\x08Identity\0\0\0\0", "latin1"),
  ]);
  return Buffer.concat([Buffer.from([4, body.length]), body]);
}

const look = (spec: string, listen = true, clock = systemClock): Promise<Probe> => probe(spec, { clock, listen });
const SUBSCRIBED = Buffer.concat([GREETING, ready("SUB"), Buffer.from("\0\x05\x01abc ", "latin1")]);

test("a SUB socket says what it subscribes to, however its bytes are cut", async (t) => {
  for (const step of [1, 7, 64, 1000]) {
    const spec = await listen(t, (socket) => {
      socket.setNoDelay(true);
      const pieces = Array.from({ length: Math.ceil(SUBSCRIBED.length / step) }, (_, at) =>
        SUBSCRIBED.subarray(at * step, (at + 1) * step),
      );
      const next = () => {
        const piece = pieces.shift();
        if (piece) socket.write(piece, () => setImmediate(next));
      };
      next();
    });
    assert.deepEqual(await look(spec), { kind: "socket", type: "SUB", subscription: "abc " });
    assert.deepEqual(await look(spec, false), { kind: "socket", type: "SUB", subscription: undefined });
  }
});

test("another socket says its type only, and is not spoken to any further", async (t) => {
  const heard: Buffer[] = [];
  const spec = await listen(t, (socket) => {
    socket.write(Buffer.concat([GREETING, ready("PUSH")]));
    socket.on("data", (bytes) => heard.push(bytes));
  });
  assert.deepEqual(await look(spec, false), { kind: "socket", type: "PUSH", subscription: undefined });
  assert.ok(Buffer.concat(heard).length <= 64, "the greeting at most");
});

const ODD: [what: string, serve: (socket: Socket) => void, kind: Probe["kind"]][] = [
  ["says nothing", () => {}, "mute"],
  ["closes at once", (socket) => socket.destroy(), "mute"],
  ["speaks HTTP", (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"), "foreign"],
  ["begins like ZeroMQ", (socket) => socket.write(Buffer.from([0xff, 0, 0])), "foreign"],
  ["speaks an old ZeroMQ", (socket) => socket.write(Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7e])), "foreign"],
  ["never says READY", (socket) => socket.write(GREETING), "foreign"],
  [
    "says READY without a type",
    (socket) => socket.write(Buffer.concat([GREETING, Buffer.from("\x04\x06\x05READY")])),
    "foreign",
  ],
  [
    "promises a giant frame",
    (socket) => socket.write(Buffer.concat([GREETING, Buffer.from("06ffffffffffffffff", "hex")])),
    "foreign",
  ],
  ["talks without end", (socket) => socket.write(Buffer.concat([GREETING, Buffer.alloc(100_000)])), "foreign"],
  ["answers, and subscribes to nothing", (socket) => socket.write(Buffer.concat([GREETING, ready("SUB")])), "socket"],
];

for (const [what, serve, kind] of ODD) {
  test(`whoever ${what} is found to be ${kind}`, async (t) => {
    // Only where nothing is to be heard may the patience be short: a busy machine takes its time with the rest.
    const clock = kind === "mute" ? hurried : systemClock;
    assert.equal((await look(await listen(t, serve), true, clock)).kind, kind);
  });
}

test("an address where nobody is, by port and by file", async () => {
  assert.deepEqual(await look(`tcp://127.0.0.1:${await freePort()}`), { kind: "absent", code: "ECONNREFUSED" });
  assert.deepEqual(await look(`ipc://${folder}/none`), { kind: "absent", code: "ENOENT" });
});

test("a connection to an address is seen, from both ends, and only while it is there", async (t) => {
  let accepted = () => {};
  const connected = new Promise<void>((resolve) => {
    accepted = resolve;
  });
  const spec = await listen(t, () => accepted());
  assert.equal(isConnected(spec), false);
  const probing = look(spec);
  await connected;
  assert.equal(isConnected(spec), true);
  await probing;
});

test("no process runs a server that does not exist", () => {
  assert.equal(findMongrel2("no such uuid"), undefined);
});

// ---- The fence --------------------------------------------------------------------------------------------------------

async function fake(t: TestContext, options = {}) {
  const mongrel2 = await FakeMongrel2.start(options);
  t.after(() => mongrel2.stop());
  const { sendSpec, recvSpec, sendIdent } = mongrel2;
  return { mongrel2, server: ours({ send_spec: sendSpec, recv_spec: recvSpec, send_ident: sendIdent }) };
}

test("a fence comes back with the ident of who answered", async (t) => {
  const { server: it, mongrel2 } = await fake(t);
  const trip = await roundTrip(it, systemClock);
  assert.equal(trip?.ident, mongrel2.sendIdent);
  assert.ok((trip?.milliseconds ?? -1) >= 0);
});

test("without an answer there is none, and nothing remains", async () => {
  const spec = async () => `tcp://127.0.0.1:${await freePort()}`;
  assert.equal(await roundTrip(ours({ send_spec: await spec(), recv_spec: await spec() }), hurried), undefined);
});

test("a request that was waiting for a handler is cut, so that its browser comes back", async (t) => {
  const { server: it, mongrel2 } = await fake(t);
  const client = mongrel2.connect();
  await roundTrip(it, systemClock);
  assert.equal(await client.over(), "cancelled");
});

test("what comes in broken does not disturb", async (t) => {
  const { server: it, mongrel2 } = await fake(t);
  mongrel2.raw(Buffer.from(`${mongrel2.sendIdent} 7 /x 9:nonsense`));
  mongrel2.raw(Buffer.from([0xff, 0xff]));
  assert.notEqual(await roundTrip(it, systemClock), undefined);
});
