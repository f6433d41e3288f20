/** `m2push up`: Mongrel2 and the daemon together, from a folder with two configuration files and a page. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, readlinkSync, realpathSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { conf } from "../support/mongrel2-conf.js";
import { listens } from "../support/pair.js";
import { freePort } from "../support/ports.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";
import { openStream } from "../support/sse-client.js";

const IDENT = "up-test";

interface Folder {
  readonly dir: string;
  readonly port: number;
  readonly url: string;
  /** Starts `m2push up` in it; what it leaves behind ends with the test. */
  up(): Daemon;
}

/** A folder as `npm start` finds it, with ports of its own. */
async function folder(t: TestContext, change = (text: string) => text): Promise<Folder> {
  const dir = temporaryDirectory();
  const specs = { sendSpec: `tcp://127.0.0.1:${await freePort()}`, recvSpec: `tcp://127.0.0.1:${await freePort()}` };
  const port = await freePort();
  const routes = ["/esupdates()$", "/.well-known/mercure"];
  const handler = { routes, protocol: "json", sendIdent: IDENT, recvIdent: `${IDENT} `, ...specs } as const;
  const settings = { "server.daemonize": 0, "limits.min_ping": 0, "limits.tick_timer": 1 };
  mkdirSync(join(dir, "html"));
  writeFileSync(join(dir, "html", "index.html"), "the page");
  const text = conf({ port, controlSpec: "ipc://run/control", handlers: [handler], settings });
  writeFileSync(join(dir, "mongrel2.conf"), change(text));
  const config = `[[mongrel2]]
send_spec = "${specs.sendSpec}"
recv_spec = "${specs.recvSpec}"
send_ident = "${IDENT}"
control = "ipc://run/control"
[publish]
zmq = ""
[admin]
listen = ""
[beacon]
interval = "100ms"
`;
  const daemons: Daemon[] = [];
  const up = () => {
    const daemon = startDaemon({ config, dir, command: ["up"] });
    daemons.push(daemon);
    return daemon;
  };
  t.after(async () => {
    for (const daemon of daemons) await daemon.stop();
    for (const pid of daemons.flatMap(mongrel2s)) if (isOurs(pid, dir)) process.kill(pid, "SIGKILL");
    removeDirectory(dir);
  });
  return { dir, port, url: `http://127.0.0.1:${port}`, up };
}

const mongrel2s = (daemon: Daemon): number[] =>
  daemon.log.filter(({ event }) => event === "mongrel2_started").map(({ pid }) => Number(pid));

/** The pid may be somebody else's by now. */
function isOurs(pid: number, dir: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dir);
  } catch {
    return false;
  }
}

/** Waits until Mongrel2 has been started (again), and answers after that: one that was left behind may have, before. */
async function running(daemon: Daemon, from = 0): Promise<number> {
  const started = await daemon.logged(({ event }) => event === "mongrel2_started", "Mongrel2", { from });
  await daemon.logged(({ event }) => event === "link_live", "it to answer", { from: daemon.log.indexOf(started) });
  return Number(started.pid);
}

async function hearsBeacon(url: string): Promise<void> {
  const client = await openStream(`${url}/esupdates`);
  assert.match((await client.next()).data, /^Timestamp /);
  await client.close();
}

describe("Up, end to end", { concurrency: 3 }, () => {
  test("one command gives the page, the stream, a key to publish with, and the line to do so; SIGTERM ends both", async (t) => {
    const { dir, port, url, up } = await folder(t);
    const daemon = up();
    await running(daemon);
    const told = await daemon.logged(({ event }) => event === "up", "the address");
    assert.equal(told.address, `http://localhost:${port}/`);
    assert.equal(await (await fetch(`${url}/`)).text(), "the page");
    await hearsBeacon(url);
    const key = await daemon.logged(({ event }) => event === "key", "the curl line");
    assert.match(String(key.msg), /^to publish: curl -H "Authorization: Bearer \$\(cat data\/publisher\.jwt\)" /);
    const token = readFileSync(join(dir, "data/publisher.jwt"), "utf8").trim();
    assert.ok(!daemon.log.some((line) => JSON.stringify(line).includes(token)));
    const posted = await fetch(`${url}/.well-known/mercure`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: new URLSearchParams({ topic: "news", data: "hello" }),
    });
    assert.equal(posted.status, 200);
    assert.equal(await daemon.stop("SIGTERM"), 0);
    assert.equal(await listens(port), false);
  });

  test("a Mongrel2 that dies is started again, and served", async (t) => {
    const { url, up } = await folder(t);
    const daemon = up();
    const first = await running(daemon);
    const from = daemon.log.length;
    process.kill(first, "SIGKILL");
    const died = await daemon.logged(({ event }) => event === "mongrel2_died", "its death");
    assert.match(String(died.how), /^SIGKILL/);
    assert.notEqual(await running(daemon, from), first);
    await hearsBeacon(url);
  });

  test("a Mongrel2 that an earlier run left behind is replaced", async (t) => {
    const { dir, url, up } = await folder(t);
    const killed = up();
    const left = await running(killed);
    await killed.kill9();
    assert.ok(isOurs(left, dir));
    const daemon = up();
    assert.notEqual(await running(daemon), left);
    await hearsBeacon(url);
  });

  test("a mongrel2.conf that m2sh does not take ends the command with what m2sh says, and nothing is left", async (t) => {
    const { port, up } = await folder(t, (text) => text.replace("Server(", "Sever("));
    const daemon = up();
    const { code } = await daemon.exited;
    await daemon.stop();
    assert.equal(code, 2);
    assert.match(daemon.stderr, /mongrel2\.conf: /);
    assert.equal(await listens(port), false);
  });

  test("on a loopback address a page of another name is not served, also after a reload", async (t) => {
    const { port, url, up } = await folder(t);
    const daemon = up();
    await running(daemon);
    const status = async (host: string) => (await fetchAs(`${url}/.well-known/mercure`, host)).status;
    assert.equal(await status(`evil.example:${port}`), 421);
    assert.equal(await status(`localhost:${port}`), 400, "served: it asks for no topic");
    process.kill(daemon.pid, "SIGHUP");
    await daemon.logged(({ event }) => event === "reloaded", "the reload");
    assert.equal(await status(`evil.example:${port}`), 421);
    assert.equal(await status(`localhost:${port}`), 400);
  });

  /** fetch() lets nobody choose a Host. */
  async function fetchAs(url: string, host: string): Promise<{ status: number | undefined }> {
    const asked = request(url, { headers: { host }, agent: false }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    response.resume();
    return { status: response.statusCode };
  }

  test("an address in use is reported with the process that uses it, before Mongrel2 starts", async (t) => {
    const { port, up } = await folder(t);
    const other = createServer().listen(port, "127.0.0.1");
    await once(other, "listening");
    t.after(() => other.close());
    const daemon = up();
    await daemon.exited;
    assert.match(
      daemon.stderr,
      new RegExp(`port ${port} \\(Mongrel2's web server\\) is in use by .* \\(pid ${process.pid}\\); fix: stop it`),
    );
    assert.deepEqual(
      daemon.log.filter(({ event }) => event === "mongrel2_started" || event === "up"),
      [],
    );
  });

  test("a pid file that names another living process keeps nothing from starting", async (t) => {
    const { dir, up } = await folder(t);
    mkdirSync(join(dir, "run"));
    writeFileSync(join(dir, "run/mongrel2.pid"), `${process.pid}\n`);
    await running(up());
  });

  test("the page is offered when the stream answers, not before", async (t) => {
    const { url, up } = await folder(t);
    const daemon = up();
    const offered = await daemon.logged(({ event }) => event === "up", "the offer");
    assert.ok(daemon.log.some(({ event }, at) => event === "link_live" && at < daemon.log.indexOf(offered)));
    await hearsBeacon(url);
  });

  test("a second one in the same folder names the first, and leaves its Mongrel2 alone", async (t) => {
    const { up } = await folder(t);
    const first = up();
    const pid = await running(first);
    const second = up();
    await second.exited;
    assert.match(second.stderr, new RegExp(`in use by the m2push with pid ${first.pid}`));
    process.kill(pid, 0);
    assert.equal(mongrel2s(first).length, 1);
  });
});
