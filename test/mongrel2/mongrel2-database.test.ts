import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import sqlite from "node-sqlite3-wasm";
import { readDatabase, setting } from "../../src/mongrel2/mongrel2-database.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

/** The tables that m2sh of 1.12.2 creates, with the columns that the reader uses, and one that it ignores. */
const SCHEMA = [
  "CREATE TABLE server (id INTEGER PRIMARY KEY, uuid TEXT, access_log TEXT, chroot TEXT, control_port TEXT, default_host TEXT, name TEXT, bind_addr TEXT, port INTEGER, use_ssl INTEGER)",
  "CREATE TABLE host (id INTEGER PRIMARY KEY, server_id INTEGER, maintenance BOOLEAN, name TEXT, matching TEXT)",
  "CREATE TABLE route (id INTEGER PRIMARY KEY, path TEXT, reversed BOOLEAN, host_id INTEGER, target_id INTEGER, target_type TEXT)",
  "CREATE TABLE handler (id INTEGER PRIMARY KEY, send_spec TEXT, send_ident TEXT, recv_spec TEXT, recv_ident TEXT, raw_payload INTEGER, protocol TEXT)",
  "CREATE TABLE setting (id INTEGER PRIMARY KEY, key TEXT, value TEXT)",
];

function databaseFile(t: TestContext, statements: readonly string[]): string {
  const folder = temporaryDirectory();
  t.after(() => removeDirectory(folder));
  const file = join(folder, "config.sqlite");
  const database = new sqlite.Database(file);
  for (const statement of statements) database.exec(statement);
  database.close();
  return file;
}

/** A folder for temporary files that no other test uses. */
function ownTemporaryFolder(t: TestContext): string {
  const folder = temporaryDirectory();
  const before = process.env.TMPDIR;
  process.env.TMPDIR = folder;
  t.after(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    removeDirectory(folder);
  });
  return folder;
}

describe("readDatabase", () => {
  test("reads servers, hosts, routes, handlers and settings", async (t) => {
    const file = databaseFile(t, [
      ...SCHEMA,
      "INSERT INTO server VALUES (1, 'u', '/log', './', 'ipc://run/control', 'localhost', 'main', '0.0.0.0', 6767, 1)",
      "INSERT INTO host VALUES (2, 1, 0, 'localhost', 'localhost')",
      "INSERT INTO route VALUES (3, '/esupdates', 0, 2, 4, 'handler')",
      "INSERT INTO handler VALUES (4, 'ipc://run/send', 'push', 'ipc://run/recv', NULL, 0, 'tnetstring')",
      "INSERT INTO setting VALUES (1, 'limits.tick_timer', '1'), (2, 'superpoll.max_fd', 'many')",
    ]);
    const database = await readDatabase(file);
    assert.deepEqual(database.servers, [
      {
        ...{ id: 1, uuid: "u", name: "main", chroot: "./", controlPort: "ipc://run/control", defaultHost: "localhost" },
        ...{ bindAddr: "0.0.0.0", port: 6767, useSsl: true },
      },
    ]);
    assert.deepEqual(database.hosts, [{ id: 2, serverId: 1, name: "localhost", matching: "localhost" }]);
    assert.deepEqual(database.routes, [{ path: "/esupdates", hostId: 2, targetId: 4, targetType: "handler" }]);
    assert.deepEqual(database.handlers, [
      {
        ...{ id: 4, sendSpec: "ipc://run/send", sendIdent: "push", recvSpec: "ipc://run/recv", recvIdent: "" },
        protocol: "tnetstring",
      },
    ]);
    assert.equal(setting(database, "limits.tick_timer", 5), 1);
    assert.equal(setting(database, "limits.content_length", 20_480), 20_480);
    assert.equal(setting(database, "superpoll.max_fd", 7), 7);
  });

  test("rejects a file that is missing, no database, of another program, or with a port that is no number", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    writeFileSync(join(folder, "text"), "no database, only text\n".repeat(100));
    const wrong = "INSERT INTO server VALUES (1, 'u', '', '', '', '', '', '', 'http', 0)";
    const files = [
      join(folder, "missing"),
      join(folder, "text"),
      databaseFile(t, ["CREATE TABLE other (id INTEGER)"]),
      databaseFile(t, [...SCHEMA, wrong]),
    ];
    const copies = ownTemporaryFolder(t);
    for (const file of files) {
      await assert.rejects(readDatabase(file), (error: Error & { code?: string }) => {
        assert.equal(error.code, "unavailable");
        assert.ok(error.message.startsWith(`${file} cannot be read as a configuration database of Mongrel2: `));
        return true;
      });
    }
    assert.deepEqual(readdirSync(copies), [], "no copy is left");
  });
});
