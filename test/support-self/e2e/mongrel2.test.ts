/** The launcher of the real Mongrel2, and what the tests' clients see of it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { afterEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { RawHandler } from "../../support/handler.js";
import { type Mongrel2, type Mongrel2Options, startMongrel2 } from "../../support/mongrel2.js";
import { removeDirectory } from "../../support/processes.js";
import { openStream, RawConnection, raw } from "../../support/sse-client.js";

const started: { stop(): Promise<unknown> }[] = [];

async function start(options?: Mongrel2Options): Promise<Mongrel2> {
  const server = await startMongrel2(options);
  started.push(server);
  return server;
}

async function connect(server: Mongrel2): Promise<RawHandler> {
  const handler = await RawHandler.connect(server);
  started.push({ stop: () => handler.close() });
  return handler;
}

afterEach(async () => {
  for (const thing of started.splice(0).reverse()) await thing.stop();
});

function isAlive(pid: number): boolean {
  try {
    // A process that is dead but not yet waited for still has an entry.
    return !readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z ");
  } catch {
    return false;
  }
}

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

describe("the real Mongrel2", () => {
  test("serves files with their types, and everything else is not found", async () => {
    const server = await start({ html: { "index.html": "<p>hi", "a/b.js": "1" } });
    const ask = (path: string) => raw(server.port, `GET ${path} HTTP/1.0\r\n\r\n`);
    assert.match(await ask("/"), /^HTTP\/1.1 200 OK\r\n[\s\S]*Content-Type: text\/html[\s\S]*<p>hi$/);
    assert.match(await ask("/a/b.js"), /Content-Type: application\/x-javascript/);
    assert.match(await ask("/none"), /^HTTP\/1.1 404 /);
  });

  test("streams what the handler sends to a client that reads events", async () => {
    const server = await start();
    const handler = await connect(server);
    const opening = openStream(`${server.url}/esupdates?a=1`, { "last-event-id": "7" });
    const request = await handler.request();
    assert.match(request.text, /"last-event-id":"7"/);
    await handler.send([request.id], `${HEAD}retry: 5000\n: hello\n\nid: 1\ndata: one\n\n`);
    const client = await opening;
    assert.equal(client.status, 200);
    assert.equal(client.headers["content-type"], "text/event-stream");
    assert.deepEqual(await client.next(), { type: "message", data: "one", id: "1" });
    assert.deepEqual([client.retry, client.comments, client.lastEventId], [5_000, [" hello"], "1"]);
    await handler.send([request.id], "event: x\ndata: two\n\n");
    assert.equal((await client.next(({ type }) => type === "x")).data, "two");
    await handler.send([request.id], "");
    await client.closed;
    await assert.rejects(client.next(), /the stream ended/);
  });

  test("a client that closes is announced", async () => {
    const server = await start({ transport: "ipc" });
    const handler = await connect(server);
    const opening = openStream(`${server.url}/esupdates`);
    const { id } = await handler.request();
    await handler.send([id], HEAD);
    await (await opening).close();
    assert.equal((await handler.next(({ kind }) => kind === "disconnect")).id, id);
  });

  test("restart and kill -9 begin a new count of ids on the same addresses", async () => {
    const server = await start();
    const handler = await connect(server);
    const ends = [() => server.restart(), () => server.kill9().then(() => server.restart())];
    for (const again of ends) {
      const { port, pid } = server;
      const browser = new RawConnection(server.port);
      browser.write("GET /esupdates HTTP/1.1\r\n\r\n");
      assert.equal((await handler.request()).id, 1);
      await again();
      await browser.over();
      assert.notEqual(server.pid, pid);
      assert.equal(server.port, port);
      await handler.live();
    }
  });

  test("while it is suspended nothing is taken or answered, and nothing is lost", async () => {
    const server = await start();
    const handler = await connect(server);
    server.suspend();
    const fence = handler.fence();
    const browser = new RawConnection(server.port);
    browser.write("GET /esupdates HTTP/1.1\r\n\r\n");
    assert.equal(handler.received.length, 0);
    server.resume();
    await fence;
    assert.equal((await handler.request()).id, 1);
    browser.close();
  });

  test("two handlers have sockets and idents of their own", async () => {
    const server = await start({
      handlers: [{ routes: ["/one()$"] }, { routes: ["/two()$", "/too()$"], protocol: "tnetstring" }],
    });
    const [one, two] = server.handlers;
    assert.ok(one && two);
    assert.notEqual(one.sendIdent, two.sendIdent);
    const handler = await RawHandler.connect(two);
    started.push({ stop: () => handler.close() });
    for (const path of ["/two", "/too"]) {
      const browser = new RawConnection(server.port);
      browser.write(`GET ${path}?q HTTP/1.1\r\n\r\n`);
      const request = await handler.request();
      assert.equal(request.path, path);
      assert.match(request.text, /5:QUERY,1:q,/);
      browser.close();
    }
  });

  test("flow control shows in the first request and after each write", async () => {
    const server = await start({ settings: { "download.flow_control": 1 } });
    const handler = await connect(server);
    const browser = new RawConnection(server.port);
    browser.write("GET /esupdates HTTP/1.1\r\n\r\n");
    const { id, text } = await handler.request();
    assert.match(text, /"DOWNLOAD_CREDITS":"102400"/);
    await handler.send([id], "12345");
    const notice = await handler.next(({ kind }) => kind === "credits");
    assert.match(notice.text, /"DOWNLOAD_CREDITS":"5"/);
    browser.close();
  });

  test("many at the same time do not get in each other's way", async () => {
    const servers = await Promise.all(Array.from({ length: 6 }, () => start()));
    const handlers = await Promise.all(servers.map(connect));
    await Promise.all(handlers.map((handler) => handler.fence()));
    assert.equal(new Set(servers.map(({ port }) => port)).size, 6);
  });

  test("what mongrel2.conf cannot say is a programmer's error", async () => {
    await assert.rejects(start({ settings: { "limits.min_ping": -1 } }), TypeError);
    await assert.rejects(start({ handlers: [{ routes: ["/a"], sendIdent: "a'b" }] }), TypeError);
  });

  test("stop leaves no process and no directory, also when clients are connected", async () => {
    const server = await start();
    const handler = await connect(server);
    for (let i = 0; i < 3; i++) new RawConnection(server.port).write("GET /esupdates HTTP/1.1\r\n\r\n");
    for (let i = 0; i < 3; i++) await handler.request();
    const { pid, dir } = server;
    await server.stop();
    assert.equal(isAlive(pid), false);
    assert.equal(existsSync(dir), false);
    assert.equal(await server.stop().then((exit) => exit !== undefined), true);
  });

  test("it does not outlive a test whose process is killed", async () => {
    const launcher = fileURLToPath(new URL("../../support/mongrel2.js", import.meta.url));
    const program = `import(${JSON.stringify(launcher)}).then((m) => m.startMongrel2()).then((s) => { console.log(s.pid, s.dir); setInterval(() => {}, 1000); })`;
    const parent = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(parent.stdout, "data");
    const [pid, dir] = String(line).trim().split(" ");
    assert.ok(pid && dir && isAlive(Number(pid)));
    parent.kill("SIGKILL");
    await once(parent, "exit");
    // The kernel sends the signal while it takes the parent down; its delivery is a matter of scheduling.
    while (isAlive(Number(pid))) await new Promise((resolve) => setImmediate(resolve));
    removeDirectory(dir);
  });
});
