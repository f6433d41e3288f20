/** `m2push up --servers 2` behind the nginx and the HAProxy that it has written configurations for. */
import assert from "node:assert/strict";
import { mkdirSync, readlinkSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { listening } from "../support/mongrel2.js";
import { conf } from "../support/mongrel2-conf.js";
import { listens } from "../support/pair.js";
import { freePort } from "../support/ports.js";
import { Child, removeDirectory, temporaryDirectory } from "../support/processes.js";
import { Publisher } from "../support/publisher.js";
import { openStream, type SseClient } from "../support/sse-client.js";

const IDENT = "up-servers";
const SERVERS = ["main-1", "main-2"];
const VISITOR = "127.0.0.1";

/** A port with two free ones behind it. */
async function freePorts(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (!(await listens(port + 1)) && !(await listens(port + 2))) return port;
  }
}

/** A folder in which `m2push up --servers 2` runs. */
async function started(t: TestContext) {
  const dir = temporaryDirectory();
  const port = await freePorts();
  const specs = { sendSpec: "tcp://127.0.0.1:1", recvSpec: "tcp://127.0.0.1:2" };
  const handler = {
    routes: ["/esupdates()$", "/.well-known/mercure"],
    protocol: "json",
    sendIdent: IDENT,
    recvIdent: `${IDENT} `,
    ...specs,
  } as const;
  const settings = { "server.daemonize": 0, "limits.min_ping": 0, "limits.tick_timer": 1 };
  mkdirSync(join(dir, "html"));
  writeFileSync(join(dir, "html", "index.html"), "the page");
  writeFileSync(
    join(dir, "mongrel2.conf"),
    conf({ port, controlSpec: "ipc://run/control", handlers: [handler], settings }),
  );
  const publishSpec = `tcp://127.0.0.1:${await freePort()}`;
  const config = `[[mongrel2]]
send_spec = "${specs.sendSpec}"
recv_spec = "${specs.recvSpec}"
send_ident = "${IDENT}"
control = "ipc://run/control"
[publish]
zmq = "${publishSpec}"
[stream]
retry = "100ms"
[admin]
listen = ""
[beacon]
interval = "0"
`;
  const daemon = startDaemon({ config, dir, command: ["up", "--servers", "2"] });
  const publisher = new Publisher(publishSpec);
  t.after(async () => {
    await publisher.close();
    await daemon.stop();
    for (const { pid } of daemon.log.filter(({ event }) => event === "mongrel2_started")) killOurs(Number(pid), dir);
    removeDirectory(dir);
  });
  await daemon.logged(({ event }) => event === "up", "both Mongrel2s to answer");
  return { dir, port, daemon, publisher };
}

/** The pid may be another process's by now. */
function killOurs(pid: number, dir: string): void {
  try {
    if (readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dir)) process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** The servers to which the daemon counted streams, in order. */
const serversOf = ({ log }: Daemon, from = 0): unknown[] =>
  log.slice(from).flatMap((line) => (line.event === "connect" ? [line.server] : []));

async function streams(daemon: Daemon, url: string, count: number): Promise<SseClient[]> {
  const opened: SseClient[] = [];
  for (let at = 0; at < count; at++) {
    const from = daemon.log.length;
    opened.push(await openStream(url));
    await daemon.logged(({ event }) => event === "connect", "the stream", { from });
  }
  return opened;
}

const PROXIES = {
  nginx: ["nginx", "-p", ".", "-c", "run/nginx.conf", "-e", "logs/nginx-error.log", "-g", "daemon off;"],
  haproxy: ["haproxy", "-db", "-f", "run/haproxy.cfg"],
} as const;

describe("up --servers, end to end", () => {
  test("streams through nginx and HAProxy are on both Mongrel2s, and get every event; a killed one's clients come back by the other", async (t) => {
    const { dir, port, daemon, publisher } = await started(t);
    for (const [name, [command, ...args]] of Object.entries(PROXIES)) {
      const proxy = new Child(command, args, dir);
      try {
        await listening(proxy, [port], () => proxy.stderr);
        await throughProxy(name, { port, daemon, publisher });
      } finally {
        await proxy.end("SIGTERM");
      }
    }
    assert.equal(await daemon.stop("SIGTERM"), 0);
  });

  test("more than 16, or a configuration that cannot be multiplied, is refused", async (t) => {
    const daemon = startDaemon({ config: "", command: ["up", "--servers", "17"] });
    t.after(() => daemon.stop());
    assert.equal((await daemon.exited).code, 2);
    assert.match(daemon.stderr, /Expected a whole number from 1 to 16/);
  });
});

interface Site {
  readonly port: number;
  readonly daemon: Daemon;
  readonly publisher: Publisher;
}

async function throughProxy(name: string, { port, daemon, publisher }: Site): Promise<void> {
  const url = `http://127.0.0.1:${port}/esupdates?topic=${name}`;
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "the page");
  const began = daemon.log.length;
  const clients = await streams(daemon, url, 4);
  assert.deepEqual([...new Set(serversOf(daemon, began))].sort(), SERVERS);
  const connect = daemon.log.slice(began).find(({ event }) => event === "connect");
  assert.equal(connect?.remote, VISITOR);
  const data = (client: SseClient) => client.events.map((event) => event.data);
  for (const event of ["1", "2", "3"]) await publisher.publish(event, name);
  for (const client of clients) {
    await client.until(({ events }) => events.length === 3, "three events");
    assert.deepEqual(data(client), ["1", "2", "3"]);
  }

  const [victim] = daemon.log.filter(({ event }) => event === "mongrel2_started").slice(-2);
  const killed = daemon.log.length;
  process.kill(Number(victim?.pid), "SIGKILL");
  await daemon.logged(({ event }) => event === "mongrel2_died", "its death", { from: killed });
  const cut = clients.filter((client) => client.isClosed);
  await Promise.race(clients.map(({ closed }) => closed));
  await publisher.publish("4", name);
  const lost = cut[0] ?? (clients.find((client) => client.isClosed) as SseClient);
  const back = await openStream(url, { "last-event-id": lost.lastEventId });
  await back.until(({ events }) => events.length === 1, "what it missed");
  assert.deepEqual(data(back), ["4"]);
  const others = clients.filter((client) => !client.isClosed);
  assert.ok(others.length > 0);
  for (const client of others) {
    await client.until(({ events }) => events.length === 4, "the event");
    assert.deepEqual(data(client), ["1", "2", "3", "4"]);
  }
  for (const client of [...others, back]) await client.close();
  await daemon.logged(({ event }) => event === "link_live", "the Mongrel2 that was started again", { from: killed });
}
