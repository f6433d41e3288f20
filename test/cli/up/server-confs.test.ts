import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { planSeveral } from "../../../src/cli/up/plan-several.js";
import { haproxyConf, nginxConf } from "../../../src/cli/up/proxy-confs.js";
import { planServers } from "../../../src/cli/up/server-confs.js";
import { loadConfig } from "../../../src/config/load-config.js";
import { PROJECT } from "../../support/processes.js";

const { config } = loadConfig({ file: join(PROJECT, "config/m2push.toml") });
const TEXT = readFileSync(join(PROJECT, "config/mongrel2.conf"), "utf8");
const plan = (text: string, count = 2) => planServers("mongrel2.conf", text, { count, port: 6767, config });
const valuesOf = (text: string, key: string) =>
  [...text.matchAll(new RegExp(`\\b${key}\\s*=\\s*'?([^',)\\n]*)`, "g"))].map(([, value]) => value);

describe("planSeveral", () => {
  test("says which conf is missing", () => {
    const missing = { code: "config_invalid", message: /^no-mongrel2\.conf is missing: / };
    assert.throws(() => planSeveral("no-mongrel2.conf", 2, config), missing);
  });
});

describe("planServers", () => {
  test("each Mongrel2 has sockets, ports, files and an ident of its own, in its conf and in the daemon's table", () => {
    const [one, two, ...more] = plan(TEXT);
    assert.ok(one && two && more.length === 0);
    assert.deepEqual([one.port, two.port], [6768, 6769]);
    for (const [{ text, server, files, port }, number] of [[one, 1] as const, [two, 2] as const]) {
      assert.deepEqual(valuesOf(text, "send_spec"), [`ipc://run/send-${number}`]);
      assert.deepEqual(valuesOf(text, "recv_spec"), [server.recv_spec]);
      assert.deepEqual(valuesOf(text, "send_ident"), [server.send_ident]);
      assert.deepEqual(valuesOf(text, "recv_ident"), [`${server.send_ident} `]);
      assert.deepEqual(valuesOf(text, "port"), [`${port}`]);
      assert.deepEqual(valuesOf(text, "pid_file"), [files.pid]);
      assert.deepEqual(valuesOf(text, "control_port"), [server.control]);
      assert.deepEqual(valuesOf(text, "bind_addr"), ["127.0.0.1"]);
      assert.match(text, /'no_clobber_xff': 1,\n/);
      assert.match(text, /'superpoll\.max_fd': 20000/);
    }
    for (const key of ["uuid", "access_log", "error_log", "send_spec", "send_ident", "control_port", "port"])
      assert.notDeepEqual(valuesOf(one.text, key), valuesOf(two.text, key), key);
    assert.deepEqual([one.server.name, two.server.name], ["main-1", "main-2"]);
    assert.notEqual(one.server.database, two.server.database);
  });

  test("keys of nested hosts stay, and a file without settings gets them", () => {
    const handler = /^push = Handler\([\s\S]*?^ *protocol.*$/m.exec(TEXT)?.[0] ?? "";
    const nested = `${handler}\nmain = Server(uuid="a-b-0001", port=6767, name='x',
  hosts=[Host(name='h', routes={'/(x)': Proxy(addr='10.0.0.1', port=8000), '/': push})], error_log='e')\nservers = [main]\n`;
    const text = plan(nested)[1]?.text ?? "";
    assert.deepEqual(valuesOf(text, "port"), ["6769", "8000"]);
    assert.deepEqual(valuesOf(text, "uuid"), ["a-b-0002"]);
    assert.match(text, /settings = \{'no_clobber_xff': 1\}\n$/);
    const empty = plan(`${nested}settings = {}\n`)[0]?.text ?? "";
    assert.match(empty, /settings = \{\s*'no_clobber_xff': 1\}/);
    assert.equal(plan(`${nested}settings = {'no_clobber_xff': 0}\n`)[0]?.text.match(/no_clobber_xff/g)?.length, 1);
  });

  test("what cannot be multiplied is refused with the fix", () => {
    const refused: readonly [string, RegExp][] = [
      [
        `${TEXT}\nother = Handler(send_spec='tcp://127.0.0.1:1', recv_spec='tcp://127.0.0.1:2')\n`,
        /Handler with send_spec = 'tcp:\/\/127\.0\.0\.1:1' is not that of/,
      ],
      [`${TEXT}\nsecond = Server(port=1)\n`, /it has 2 Servers; fix: keep one/],
      ["servers = []\n", /it has 0 Servers/],
      ["s = Server(port=1\n", /is not closed; fix: close it/],
    ];
    for (const [text, expected] of refused) assert.throws(() => plan(text), expected);
    const [table] = config.mongrel2;
    assert.throws(
      () =>
        planServers("c", TEXT, {
          count: 2,
          port: 1,
          config: { ...config, mongrel2: [table, { ...table, name: "b" }] },
        }),
      /has 2 \[\[mongrel2\]\] tables; fix: keep one/,
    );
  });

  test("the proxies listen where the conf says, on IPv6 too, within the limit of open files", () => {
    const options = { address: "::1", port: 80, ports: [81, 82] };
    assert.match(
      nginxConf(options, 1024),
      /worker_rlimit_nofile 1024;[\s\S]*worker_connections 960;[\s\S]*listen \[::1\]:80 /,
    );
    assert.match(
      haproxyConf(options),
      /bind \[::1\]:80 [\s\S]*server m1 127\.0\.0\.1:81\n {4}server m2 127\.0\.0\.1:82\n/,
    );
  });
});
