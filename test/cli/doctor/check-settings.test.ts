import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { checkOrigin } from "../../../src/cli/doctor/check-origin.js";
import { checkForwarding, checkSettings, checkUploads } from "../../../src/cli/doctor/check-settings.js";
import { databaseFindings as found } from "../../../src/cli/doctor/database-findings.js";
import { loadConfig } from "../../../src/config/load-config.js";
import type { Config } from "../../../src/config/schema.js";
import type { HandlerRow, Mongrel2Database, RouteRow, ServerRow } from "../../../src/mongrel2/mongrel2-database.js";
import { PROJECT } from "../../support/processes.js";

const GOOD = { "limits.tick_timer": "1", "net.tcp_keepalive": "1", "limits.content_length": "327680" };

const server: ServerRow = {
  id: 1,
  uuid: "u",
  name: "main",
  chroot: "",
  controlPort: "",
  defaultHost: "localhost",
  bindAddr: "127.0.0.1",
  port: 6767,
  useSsl: false,
};
const handler: HandlerRow = { id: 1, sendSpec: "", sendIdent: "", recvSpec: "", recvIdent: "", protocol: "json" };
const routesOf = (hostId: number): RouteRow[] =>
  ["/esupdates()$", "/.well-known/mercure", "/.well-known/oauth-protected-resource"].map((path) => {
    return { path, hostId, targetId: 1, targetType: "handler" };
  });

const database = (changes: Partial<Mongrel2Database> = {}): Mongrel2Database => ({
  servers: [server],
  hosts: [{ id: 1, serverId: 1, name: "localhost", matching: "localhost" }],
  routes: routesOf(1),
  handlers: [handler],
  settings: new Map(Object.entries(GOOD)),
  ...changes,
});

describe("checkSettings", () => {
  const faults = (settings: Record<string, string>, batchBytes = 262_144) =>
    checkSettings(database({ settings: new Map(Object.entries(settings)) }), batchBytes).filter(
      ({ level }) => level !== "ok",
    );

  test("warns of batches that Mongrel2 does not take", () => {
    assert.deepEqual(faults(GOOD, 327_680), []);
    assert.deepEqual(faults(GOOD, 327_681), [found.batchesTooLarge(327_680, 327_681)]);
  });

  test("warns where Mongrel2 would close a descriptor that it did not open", () => {
    const withStore = { settings: new Map([["upload.temp_store", "/dev/null/XXXXXX"]]) };
    assert.deepEqual(checkUploads(database({ settings: new Map() })), [found.uploadsUnset()]);
    assert.deepEqual(checkUploads(database(withStore)), [found.uploadsGood()]);
  });

  test("warns where Mongrel2 replaces the header of trusted proxies", () => {
    const keeping = database({ settings: new Map([["no_clobber_xff", "1"]]) });
    assert.deepEqual(checkForwarding(database(), []), []);
    assert.deepEqual(checkForwarding(database(), ["127.0.0.1"]), [found.forwardingReplaced()]);
    assert.deepEqual(checkForwarding(keeping, ["127.0.0.1"]), [found.forwardingKept()]);
  });

  test("accepts the settings that operating.md recommends", () => {
    assert.deepEqual(faults(GOOD), []);
    assert.deepEqual(faults({ ...GOOD, "limits.buffer_size": "8192", "limits.content_length": "1000000" }), []);
  });

  test("warns of those defaults of Mongrel2 that are not recommended", () => {
    assert.deepEqual(
      faults({}).map(({ fix }) => fix),
      ["set 'limits.tick_timer': 1", "set 'net.tcp_keepalive': 1", "set 'limits.content_length': 327680"],
    );
  });

  const WRONG: [key: string, value: number, effect: RegExp, wanted: number][] = [
    ["limits.tick_timer", 5, /up to 7 s/, 1],
    ["net.tcp_keepalive", 0, /disappeared/, 1],
    ["limits.content_length", 100_000, /refuses events/, 327_680],
    ["limits.content_length", 9_000_000, /8 MB/, 327_680],
    ["download.flow_control", 1, /for each delivery/, 0],
    ["limits.buffer_size", 2048, /400/, 4096],
    ["limits.buffer_size", 65_536, /quadratic/, 4096],
  ];
  for (const [key, value, effect, wanted] of WRONG) {
    test(`warns of ${key} ${value}, and only of that`, () => {
      const [fault, ...more] = faults({ ...GOOD, [key]: String(value) });
      const [, text = ""] = /^\S+ is \d+: (.*)$/.exec(fault?.what ?? "") ?? [];
      assert.match(text, effect);
      assert.deepEqual([fault, ...more], [found.settingBad(key, value, text, wanted)]);
    });
  }

  test("checks every setting that operating.md lists", () => {
    const [, table = ""] = readFileSync(join(PROJECT, "docs/beside-your-mongrel2.md"), "utf8").split(
      "## Settings of Mongrel2",
    );
    const [listed = ""] = table.split("\n## ");
    const keys = [...listed.matchAll(/^\| `([a-z]+\.[a-z_]+)` \|/gm)].map(([, key = ""]) => key);
    const sources = ["check-settings", "check-targets", "check-idle", "check-capacity"].map((name) =>
      readFileSync(join(PROJECT, `src/cli/doctor/${name}.ts`), "utf8"),
    );
    assert.ok(keys.length >= 9);
    assert.deepEqual(
      keys.filter((key) => !sources.some((text) => text.includes(`"${key}"`))),
      [],
    );
  });
});

describe("checkOrigin", () => {
  const { config } = loadConfig({ env: {} });
  const check = (origin: string, row: Partial<ServerRow> = {}, changes: Partial<Mongrel2Database> = {}) => {
    const own: Config = { ...config, hub: { ...config.hub, origin } };
    return checkOrigin(own, handler, { ...server, ...row }, database(changes));
  };

  const ORIGIN = "http://localhost:6767";

  test("accepts the port, scheme and Host of Mongrel2", () => {
    const good: [origin: string, row: Partial<ServerRow>][] = [
      [ORIGIN, {}],
      ["https://localhost", { port: 443, useSsl: true }],
      ["http://localhost", { port: 80 }],
    ];
    for (const [origin, row] of good)
      assert.deepEqual(check(origin, row), [found.originGood(origin), found.hostGood("localhost", 'Host "localhost"')]);
  });

  test("warns of another port or scheme", () => {
    const wrong: [origin: string, scheme: string, wanted: string, row: Partial<ServerRow>][] = [
      ["http://localhost:6768", "http", ORIGIN, {}],
      ["https://localhost:6767", "http", ORIGIN, {}],
      [ORIGIN, "https", "https://localhost:6767", { useSsl: true }],
      ["https://www.example.com", "http", "http://www.example.com:6767", { bindAddr: "0.0.0.0" }],
    ];
    for (const [origin, scheme, wanted, row] of wrong)
      assert.deepEqual(check(origin, row)[0], found.originDiffers(origin, scheme, 6767, wanted));
  });

  test("treats another origin as a proxy's when Mongrel2 listens on a loopback address only", () => {
    const origin = "https://www.example.com";
    assert.deepEqual(check(origin)[0], found.originOfProxy(origin, "http", 6767, "127.0.0.1"));
  });

  test("warns when the Host of the name lacks routes, or no Host receives the name", () => {
    const name = "www.example.com";
    const origin = `http://${name}:6767`;
    assert.deepEqual(check(origin)[1], found.hostGood(name, 'default_host "localhost"'));
    const hosts = [
      { id: 1, serverId: 1, name: "localhost", matching: "localhost" },
      { id: 2, serverId: 1, name, matching: name },
    ];
    const paths = ["/esupdates", "/.well-known/mercure", "/.well-known/oauth-protected-resource/.well-known/mercure"];
    assert.deepEqual(
      check(origin, {}, { hosts, routes: routesOf(1) })[1],
      found.hostRoutesMissing(name, `Host "${name}"`, paths),
    );
    assert.deepEqual(
      check(origin, {}, { hosts, routes: [...routesOf(1), ...routesOf(2)] })[1],
      found.hostGood(name, `Host "${name}"`),
    );
    assert.deepEqual(check(origin, { defaultHost: "none" })[1], found.hostMissing(name));
    const patterns = [...hosts.slice(0, 1), { id: 2, serverId: 1, name: "any", matching: "(.*).example.com" }];
    assert.deepEqual(check(origin, {}, { hosts: patterns })[1], found.hostPatterns(name));
  });
});
