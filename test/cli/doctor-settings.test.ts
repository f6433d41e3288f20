import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { checkOrigin } from "../../src/cli/doctor/check-origin.js";
import { checkSettings } from "../../src/cli/doctor/check-settings.js";
import { loadConfig } from "../../src/config/load-config.js";
import type { Config } from "../../src/config/schema.js";
import type { HandlerRow, Mongrel2Database, RouteRow, ServerRow } from "../../src/mongrel2/mongrel2-database.js";
import { PROJECT } from "../support/processes.js";

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

describe("Doctor on settings of Mongrel2", () => {
  const faults = (settings: Record<string, string>) =>
    checkSettings(database({ settings: new Map(Object.entries(settings)) })).filter(({ level }) => level !== "ok");

  test("has nothing to say of what operating.md recommends", () => {
    assert.deepEqual(faults(GOOD), []);
    assert.deepEqual(faults({ ...GOOD, "limits.buffer_size": "8192", "limits.content_length": "1000000" }), []);
  });

  test("warns of Mongrel2's own defaults where they are not the ones to have", () => {
    assert.deepEqual(
      faults({}).map(({ fix }) => fix),
      ["set 'limits.tick_timer': 1", "set 'net.tcp_keepalive': 1", "set 'limits.content_length': 327680"],
    );
  });

  const WRONG: [key: string, value: string, what: RegExp, wanted: number][] = [
    ["limits.tick_timer", "5", /is 5: .* needs up to 7 s to prove/, 1],
    ["net.tcp_keepalive", "0", /is 0: connections of clients that vanished/, 1],
    ["limits.content_length", "100000", /is 100000: Mongrel2 answers 413/, 327_680],
    ["limits.content_length", "9000000", /is 9000000: the daemon does not read/, 327_680],
    ["download.flow_control", "1", /is 1: Mongrel2 sends a message for each delivery/, 0],
    ["limits.buffer_size", "2048", /is 2048: Mongrel2 answers 400 to longer request heads/, 4096],
    ["limits.buffer_size", "65536", /is 65536: one client can hold Mongrel2 up/, 4096],
  ];
  for (const [key, value, what, wanted] of WRONG) {
    test(`warns of ${key} ${value}, and only of that`, () => {
      const [fault, ...more] = faults({ ...GOOD, [key]: value });
      assert.deepEqual([fault?.level, fault?.fix, more], ["warn", `set '${key}': ${wanted}`, []]);
      assert.match(fault?.what ?? "", what);
    });
  }

  test("checks every setting that operating.md lists", () => {
    const [, table = ""] = readFileSync(join(PROJECT, "docs/beside-your-mongrel2.md"), "utf8").split(
      "## Settings of Mongrel2",
    );
    const [listed = ""] = table.split("\n## ");
    const keys = [...listed.matchAll(/^\| `([a-z]+\.[a-z_]+)` \|/gm)].map(([, key = ""]) => key);
    const sources = ["check-settings", "check-limits"].map((name) =>
      readFileSync(join(PROJECT, `src/cli/doctor/${name}.ts`), "utf8"),
    );
    assert.ok(keys.length >= 9);
    assert.deepEqual(
      keys.filter((key) => !sources.some((text) => text.includes(`"${key}"`))),
      [],
    );
  });
});

describe("Doctor on [hub] origin", () => {
  const { config } = loadConfig({ env: {} });
  const check = (origin: string, row: Partial<ServerRow> = {}, changes: Partial<Mongrel2Database> = {}) => {
    const own: Config = { ...config, hub: { ...config.hub, origin } };
    return checkOrigin(own, handler, { ...server, ...row }, database(changes)).map(
      ({ level, what, fix }) => `${level} ${what}${fix === undefined ? "" : `; fix: ${fix}`}`,
    );
  };

  test("is content where port, scheme and Host are those of Mongrel2", () => {
    for (const line of check("http://localhost:6767")) assert.match(line, /^ok/);
    for (const line of check("https://localhost", { port: 443, useSsl: true })) assert.match(line, /^ok/);
    for (const line of check("http://localhost", { port: 80 })) assert.match(line, /^ok/);
  });

  test("warns of another port or scheme", () => {
    assert.match(
      check("http://localhost:6768")[0] ?? "",
      /^warn .* is http:\/\/localhost:6768, but Mongrel2 serves http at port 6767: .*; fix: set \[hub\] origin = "http:\/\/localhost:6767"/,
    );
    assert.match(check("https://localhost:6767")[0] ?? "", /^warn .* but Mongrel2 serves http at port 6767/);
    assert.match(check("http://localhost:6767", { useSsl: true })[0] ?? "", /^warn .* but Mongrel2 serves https at/);
    assert.match(check("https://www.example.com", { bindAddr: "0.0.0.0" })[0] ?? "", /^warn .*, or let a proxy serve/);
  });

  test("takes another origin for that of a proxy where Mongrel2 listens on a loopback address only", () => {
    assert.match(
      check("https://www.example.com")[0] ?? "",
      /^ok .* is that of a proxy: .* port 6767 of 127\.0\.0\.1 only$/,
    );
  });

  test("warns where the Host that gets the name has not all routes, or none gets it", () => {
    assert.match(check("http://www.example.com:6767")[1] ?? "", /^ok .* go to default_host "localhost"$/);
    const hosts = [
      { id: 1, serverId: 1, name: "localhost", matching: "localhost" },
      { id: 2, serverId: 1, name: "www.example.com", matching: "www.example.com" },
    ];
    assert.match(
      check("http://www.example.com:6767", {}, { hosts, routes: routesOf(1) })[1] ?? "",
      /^warn requests for www\.example\.com .* go to Host "www\.example\.com", which has no route to this Handler for \/esupdates, /,
    );
    assert.match(
      check("http://www.example.com:6767", {}, { hosts, routes: [...routesOf(1), ...routesOf(2)] })[1] ?? "",
      /^ok .* go to Host "www\.example\.com"$/,
    );
    assert.match(
      check("http://www.example.com:6767", { defaultHost: "none" })[1] ?? "",
      /^warn no Host takes requests for www\.example\.com .*; fix: add a Host with the name "www\.example\.com"$/,
    );
    const patterns = [...hosts.slice(0, 1), { id: 2, serverId: 1, name: "any", matching: "(.*).example.com" }];
    assert.match(check("http://www.example.com:6767", {}, { hosts: patterns })[1] ?? "", /^ok .* patterns of Hosts/);
  });
});
