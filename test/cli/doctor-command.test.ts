/** Each check of doctor; e2e/doctor.test.ts runs the whole command beside real Mongrel2 processes. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, type TestContext, test } from "node:test";
import { checkCapacity } from "../../src/cli/doctor/check-capacity.js";
import { checkControlPort } from "../../src/cli/doctor/check-control-port.js";
import { checkDefaultHost } from "../../src/cli/doctor/check-default-host.js";
import { checkIdents } from "../../src/cli/doctor/check-idents.js";
import { checkIdle } from "../../src/cli/doctor/check-idle.js";
import { checkRoutes, serversOf } from "../../src/cli/doctor/check-routes.js";
import { checkTargets } from "../../src/cli/doctor/check-targets.js";
import { databaseFindings as found } from "../../src/cli/doctor/database-findings.js";
import { findHandler } from "../../src/cli/doctor/find-handler.js";
import { findMongrel2, isConnected } from "../../src/cli/doctor/find-mongrel2.js";
import { type Finding, fail, findingLine, ok, warn } from "../../src/cli/doctor/finding.js";
import { limitFindings as limits } from "../../src/cli/doctor/limit-findings.js";
import { liveFindings } from "../../src/cli/doctor/live-findings.js";
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

describe("Doctor command", () => {
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

  /** Timeouts are a tenth as long. */
  const impatient: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / 10, run) };

  const settings = (values: Record<string, string>) => database({ settings: new Map(Object.entries(values)) });
  const text = (findings: Finding | readonly Finding[]) =>
    [findings]
      .flat()
      .map((it) => findingLine("main", it))
      .join("\n");

  test("a finding is one line, with control characters escaped", () => {
    assert.equal(findingLine("main", ok("good")), "ok    main: good");
    assert.equal(findingLine("main", warn("so so", "do this")), "warn  main: so so; fix: do this");
    assert.equal(findingLine("main", fail("a\nb\x1b[31m\x9bc", "d")), "FAIL  main: a b\\u001b[31m\\u009bc; fix: d");
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
    assert.deepEqual(findings, [found.handlerFound(1)]);
  });

  test("one wrong spec is named, with what Mongrel2 has", () => {
    const wrong = "tcp://127.0.0.1:1";
    for (const name of ["send_spec", "recv_spec"] as const) {
      const { findings } = findHandler(ours({ [name]: wrong }), database(), []);
      assert.deepEqual(findings, [found.specDiffers(name, wrong, server[name])]);
    }
  });

  test("two wrong specs: the Handler is found by its ident, or all Handlers are listed", () => {
    const away = { send_spec: "tcp://127.0.0.1:1", recv_spec: "tcp://127.0.0.1:2" };
    const byIdent = findHandler(ours(away), database(), []);
    assert.equal(byIdent.row?.id, 1);
    const specs = `${server.send_spec} and ${server.recv_spec}`;
    const missing = (existing: string) => [found.handlerMissing(away.send_spec, away.recv_spec, existing)];
    assert.deepEqual(byIdent.findings, missing(`the one with this send_ident has ${specs}`));
    const unknown = findHandler(ours({ ...away, send_ident: "x" }), database(), []);
    assert.equal(unknown.row, undefined);
    assert.deepEqual(unknown.findings, missing(`Mongrel2's configuration has ${specs}`));
    const none = findHandler(ours(away), database({ handlers: [] }), []);
    assert.deepEqual(none.findings, missing("Mongrel2's configuration has no Handler"));
  });

  test("two Handlers with the same specs and different idents are merged by Mongrel2, which is reported", () => {
    const twice = database({ handlers: [handler(), handler({ id: 2, sendIdent: "other" })] });
    assert.deepEqual(findHandler(ours(), twice, []).findings, [found.handlerFound(1), found.handlersMerged(2)]);
  });

  test("behind a proxy only the ident can be compared", () => {
    const there = findHandler(ours({ bind: true, send_spec: "tcp://*:1" }), database(), []);
    assert.deepEqual(there, { row: handler(), findings: [found.handlerBehindProxy(1)] });
    assert.deepEqual(findHandler(ours({ bind: true, send_ident: "x" }), database(), []).findings, [
      found.identMissing("x"),
    ]);
  });

  const PREFIX = `${server.send_ident} `;
  const IDENTS: [what: string, row: Partial<HandlerRow>, servers: number, fault: Finding][] = [
    ["characters that make every response unreadable", { sendIdent: "a_b" }, 1, found.sendIdentInvalid("a_b")],
    ["another ident", { sendIdent: "other" }, 1, found.sendIdentDiffers(server.send_ident, "other")],
    ["an empty recv_ident of one server", { recvIdent: "" }, 1, found.recvIdentTooShort("", PREFIX)],
    ["an empty recv_ident of several", { recvIdent: "" }, 2, found.recvIdentEmpty(2, PREFIX)],
    [
      "a recv_ident without its space",
      { recvIdent: server.send_ident },
      1,
      found.recvIdentTooShort(server.send_ident, PREFIX),
    ],
    ["another recv_ident", { recvIdent: "x " }, 1, found.recvIdentWrong("x ", PREFIX)],
    ["a protocol that Mongrel2 does not know", { protocol: "tnetstrings" }, 1, found.protocolUnknown("tnetstrings")],
  ];

  for (const [what, row, servers, fault] of IDENTS) {
    test(`idents: ${what}`, () => {
      const findings = checkIdents(ours(), handler(row), servers);
      assert.deepEqual(
        findings.filter(({ level }) => level !== "ok"),
        [fault],
      );
    });
  }

  test("idents that fit are ok", () => {
    for (const protocol of ["json", "", "tnetstring"]) {
      assert.ok(checkIdents(ours(), handler({ protocol }), 2).every(({ level }) => level === "ok"));
    }
  });

  const METADATA = "/.well-known/oauth-protected-resource";

  test("routes: every path leads to the handler, the stream's route to nothing else", () => {
    assert.deepEqual(checkRoutes(config, handler(), database()), [
      found.routeAnchored("/esupdates()$"),
      found.routeFound("/.well-known/mercure"),
      found.routeFound(`${METADATA}/.well-known/mercure`),
    ]);
  });

  test("routes: a path that leads to another target, or to none", () => {
    const [page] = database().routes;
    assert.ok(page);
    const effect = "the plain EventSource stream does not work";
    const stream = { path: "/esupdates", route: "/esupdates()$", effect };
    const [first, second] = checkRoutes(config, handler(), database({ routes: [page] }));
    assert.deepEqual(first, found.routeMissing(fail, { ...stream, instead: page }));
    assert.equal(second?.level, "warn");
    const [none] = checkRoutes(config, handler(), database({ routes: [] }));
    assert.deepEqual(none, found.routeMissing(fail, { ...stream, instead: undefined }));
    const [other] = checkRoutes(config, handler({ id: 2 }), database());
    assert.deepEqual(other, found.routeMissing(fail, { ...stream, instead: database().routes[1] }));
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
    const wrong = checkDefaultHost({ ...row, defaultHost: "none" }, database());
    assert.deepEqual(wrong, found.defaultHostMissing("none", ["localhost"]));
  });

  test("the control port: Mongrel2's own, its setting, its default", () => {
    const [row] = database().servers;
    assert.ok(row);
    const control = "ipc:///srv/run/control";
    assert.deepEqual(checkControlPort(ours({ control }), row, database(), ["/srv"]), []);
    assert.deepEqual(checkControlPort(ours({ control }), { ...row, controlPort: "" }, database(), ["/srv"]), []);
    assert.deepEqual(
      checkControlPort(ours(), row, database(), ["/srv"]),
      [],
      "without one there is nothing to compare",
    );
    const set = settings({ control_port: "tcp://127.0.0.1:5" });
    const differs = checkControlPort(ours({ control }), { ...row, controlPort: "" }, set, ["/srv"]);
    assert.deepEqual(differs, [found.controlPortDiffers(control, "tcp://127.0.0.1:5")]);
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

  const HOT = { clients: 2560, maxFd: 10_240, dividend: 4 };
  const CAPACITY: [
    values: Record<string, string>,
    most: number | undefined,
    now: number,
    files: number | undefined,
    findings: Finding[],
  ][] = [
    [{}, undefined, 0, undefined, [limits.hotSetGood(HOT)]],
    [{}, 2000, 0, 10_240, [limits.hotSetGood(HOT, limits.maxClients(2000)), limits.openFilesGood(10_240, 10_240)]],
    [
      {},
      undefined,
      2600,
      undefined,
      [limits.hotSetTooSmall(HOT, limits.connectedClients(2600), limits.raiseMaxFd(10_240))],
    ],
    [
      {},
      20_000,
      0,
      undefined,
      [limits.tooManyClients(10_214, 10_240, 26, limits.maxClients(20_000), limits.raiseMaxFd(40_052))],
    ],
    [
      {},
      50_000,
      0,
      undefined,
      [limits.tooManyClients(10_214, 10_240, 26, limits.maxClients(50_000), limits.moreServers)],
    ],
    [
      { "superpoll.max_fd": "512" },
      undefined,
      0,
      undefined,
      [limits.hotSetBelowDefault({ clients: 128, maxFd: 512, dividend: 4 }, 2560, limits.raiseMaxFd(10_240))],
    ],
    [{ "superpoll.hot_dividend": "1" }, 10, 0, undefined, [limits.hotDividend(1)]],
    [{}, 10, 0, 1024, [limits.hotSetGood(HOT, limits.maxClients(10)), limits.openFilesTooFew(1024, 10_240)]],
  ];

  for (const [values, most, now, files, findings] of CAPACITY) {
    test(`capacity for ${most ?? "?"} clients, ${now} connected, ${JSON.stringify(values)}, ${files ?? "?"} files`, () => {
      assert.deepEqual(checkCapacity({ most, now }, files, settings(values)), findings);
    });
  }

  test("routes: metadata of the hub are needed where draft-08 is served", () => {
    const routes = database().routes.slice(0, -1);
    const effect = "clients of draft-08 cannot read the hub's metadata, and use version 0.x";
    const path = `${METADATA}/.well-known/mercure`;
    assert.deepEqual(
      checkRoutes(config, handler(), database({ routes })).at(-1),
      found.routeMissing(warn, { path, route: METADATA, instead: routes[0], effect }),
    );
    const old: Config = { ...config, hub: { ...config.hub, protocol: "0.x" } };
    assert.doesNotMatch(text(checkRoutes(old, handler(), database({ routes }))), /warn|oauth/);
  });

  test("an unreadable database is a finding, and the live checks continue", async () => {
    const file = join(folder, "none.sqlite");
    const spec = async () => `tcp://127.0.0.1:${await freePort()}`;
    const specs = { send_spec: await spec(), recv_spec: await spec() };
    const toml = `[[mongrel2]]\nsend_spec="${specs.send_spec}"\nrecv_spec="${specs.recv_spec}"\n[admin]\nlisten=""\n`;
    writeFileSync(join(folder, "m2push.toml"), toml);
    writeFileSync(file, "this is no database".repeat(100));
    for (const [name, why] of [
      ["none.sqlite", /file is not a database/],
      ["absent.sqlite", /ENOENT/],
    ] as const) {
      const args = ["doctor", "-c", "m2push.toml", "--mongrel2-db", name];
      const { stdout, stderr, code } = await runCommand(addDoctor, args, { cwd: folder, clock: impatient });
      assert.equal(code, 1);
      const [, bad] = stdout.split("\n");
      const [, message = ""] = /^FAIL {2}mongrel2: (.*); fix: /.exec(bad ?? "") ?? [];
      assert.equal(bad, findingLine("mongrel2", found.unreadable(message)));
      assert.match(message, why);
      const { send_spec: sendSpec, recv_spec: recvSpec } = specs;
      const nothing = liveFindings.nothingListens(sendSpec, recvSpec, "ECONNREFUSED");
      assert.ok(stdout.split("\n").includes(findingLine("main", nothing)), stdout);
      assert.match(stderr, /^m2push: 2 of 5 checks failed\n$/);
    }
  });

  // ---- Probing addresses ------------------------------------------------------------------------------------------------

  /** A server that runs `serve` for each connection. */
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

  test("a SUB socket sends its subscription, however its bytes are split", async (t) => {
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

  test("another socket sends its type only, and receives no more than a greeting", async (t) => {
    const received: Buffer[] = [];
    const spec = await listen(t, (socket) => {
      socket.write(Buffer.concat([GREETING, ready("PUSH")]));
      socket.on("data", (bytes) => received.push(bytes));
    });
    assert.deepEqual(await look(spec, false), { kind: "socket", type: "PUSH", subscription: undefined });
    assert.ok(Buffer.concat(received).length <= 64, "the greeting at most");
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
    test(`a peer that ${what} is identified as ${kind}`, async (t) => {
      // Only a peer that sends nothing may get the short timeout: a busy machine needs time for the others.
      const clock = kind === "mute" ? impatient : systemClock;
      assert.equal((await look(await listen(t, serve), true, clock)).kind, kind);
    });
  }

  test("an address where nothing listens, by port and by file", async () => {
    assert.deepEqual(await look(`tcp://127.0.0.1:${await freePort()}`), { kind: "absent", code: "ECONNREFUSED" });
    assert.deepEqual(await look(`ipc://${folder}/none`), { kind: "absent", code: "ENOENT" });
  });

  test("a connection to an address is detected from both ends, and only while it exists", async (t) => {
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

  test("a fence returns with the ident of the Mongrel2 that answered", async (t) => {
    const { server: it, mongrel2 } = await fake(t);
    const trip = await roundTrip(it, systemClock);
    assert.equal(trip?.ident, mongrel2.sendIdent);
    assert.ok((trip?.milliseconds ?? -1) >= 0);
  });

  test("without an answer the round trip is undefined, and leaves nothing open", async () => {
    const spec = async () => `tcp://127.0.0.1:${await freePort()}`;
    assert.equal(await roundTrip(ours({ send_spec: await spec(), recv_spec: await spec() }), impatient), undefined);
  });

  test("a request that waits for a handler is cancelled, so that its browser reconnects", async (t) => {
    const { server: it, mongrel2 } = await fake(t);
    const client = mongrel2.connect();
    await roundTrip(it, systemClock);
    assert.equal(await client.over(), "cancelled");
  });

  test("malformed messages do not disturb a round trip", async (t) => {
    const { server: it, mongrel2 } = await fake(t);
    mongrel2.raw(Buffer.from(`${mongrel2.sendIdent} 7 /x 9:nonsense`));
    mongrel2.raw(Buffer.from([0xff, 0xff]));
    assert.notEqual(await roundTrip(it, systemClock), undefined);
  });
});
