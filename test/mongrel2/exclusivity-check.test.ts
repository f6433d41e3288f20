import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { ExclusivityCheck, exclusivityIn } from "../../src/mongrel2/exclusivity-check.js";
import type { HandlerRow, Mongrel2Database, RouteRow } from "../../src/mongrel2/mongrel2-database.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

const OURS = {
  send_spec: "tcp://127.0.0.1:9999",
  recv_spec: "tcp://127.0.0.1:9998",
  send_ident: "us",
  bind: false,
  database: "/srv/run/config.sqlite",
  shared: false,
};

const handler = (id: number, more: Partial<HandlerRow> = {}): HandlerRow => ({
  id,
  sendSpec: "tcp://127.0.0.1:9999",
  recvSpec: "tcp://127.0.0.1:9998",
  sendIdent: "us",
  recvIdent: "us ",
  protocol: "json",
  ...more,
});
const route = (path: string, targetType: string, targetId: number, hostId = 1): RouteRow => ({
  path,
  hostId,
  targetType,
  targetId,
});
const LISTEN = { bindAddr: "127.0.0.1", port: 6767, useSsl: false };
const server = (id: number, name: string) => ({
  id,
  uuid: name,
  name,
  chroot: "",
  controlPort: "",
  defaultHost: "h",
  ...LISTEN,
});
const OTHER = handler(2, { sendSpec: "tcp://127.0.0.1:9997", sendIdent: "other" });

const database = (more: Partial<Mongrel2Database> = {}): Mongrel2Database => ({
  servers: [server(1, "main"), server(2, "second")],
  hosts: [
    { id: 1, serverId: 1, name: "h", matching: "h" },
    { id: 2, serverId: 2, name: "h", matching: "h" },
    { id: 3, serverId: 1, name: "also h", matching: "also h" },
  ],
  routes: [route("/esupdates", "handler", 1), route("/", "dir", 1)],
  handlers: [handler(1), OTHER],
  settings: new Map(),
  ...more,
});

const isExclusive = (more: Partial<Mongrel2Database>, ours: Partial<typeof OURS> = {}) =>
  exclusivityIn({ ...OURS, ...ours }, database(more)).isExclusive;

describe("ExclusivityCheck", () => {
  test("is one whose routes lead to our Handler and to files only", () => {
    assert.equal(isExclusive({}), true, "a Handler without a route is none");
    const main = [route("/esupdates", "handler", 1), route("/", "dir", 1)];
    assert.equal(isExclusive({ routes: [...main, route("/o", "handler", 2)] }), false);
    assert.equal(isExclusive({ routes: [...main, route("/o", "proxy", 1)] }), false);
    assert.equal(isExclusive({ routes: [...main, route("/o", "handler", 2, 3)] }), false, "another Host of the server");
    assert.equal(isExclusive({ routes: [...main, route("/o", "handler", 2, 2)] }), true, "another server");
    const twice = { handlers: [handler(1), handler(2)], routes: [...main, route("/o", "handler", 2)] };
    assert.equal(isExclusive(twice), true, "the same Handler, written twice");
  });

  test("is not proven where our Handler is not found", () => {
    assert.equal(isExclusive({}, { send_spec: "tcp://127.0.0.1:1" }), false);
    assert.equal(isExclusive({}, { recv_spec: "tcp://127.0.0.1:1" }), false);
    assert.equal(isExclusive({}, { send_ident: "they" }), false);
    assert.equal(isExclusive({ routes: [] }), false);
  });

  test("behind a ZeroMQ proxy is found by the ident", () => {
    assert.equal(isExclusive({}, { send_spec: "tcp://127.0.0.1:1", bind: true }), true);
  });

  test("finds ipc sockets relative to where Mongrel2 was started", () => {
    const handlers = [handler(1, { sendSpec: "ipc://run/requests", recvSpec: "ipc://run/replies" })];
    const ours = { send_spec: "ipc:///srv/run/requests", recv_spec: "ipc:///srv/run/replies" };
    assert.equal(isExclusive({ handlers }, ours), true);
  });

  test("is read again when the file has changed, and proves nothing when it cannot be read", async (t) => {
    const folder = temporaryDirectory();
    t.after(() => removeDirectory(folder));
    const path = join(folder, "config.sqlite");
    let reads = 0;
    const routes = [route("/esupdates", "handler", 1)];
    const read = async () => {
      reads++;
      return database({ routes });
    };
    const checked = new ExclusivityCheck({ ...OURS, database: path }, read);
    assert.equal((await checked.run()).isExclusive, false, "not there yet");
    writeFileSync(path, "1");
    assert.equal((await checked.run()).isExclusive, true);
    await checked.run();
    assert.equal(reads, 1);
    routes.push(route("/o", "proxy", 1));
    writeFileSync(path, "12");
    const { isExclusive: isStill, reason: why } = await checked.run();
    assert.deepEqual([isStill, why], [false, "server main also leads '/o' to a proxy"]);
  });

  test("is never one that others share, or whose database is not named", async () => {
    const read = () => assert.fail("not to be read");
    assert.equal((await new ExclusivityCheck({ ...OURS, shared: true }, read).run()).isExclusive, false);
    assert.equal((await new ExclusivityCheck({ ...OURS, database: "" }, read).run()).isExclusive, false);
  });
});
