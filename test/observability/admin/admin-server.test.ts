import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { M2pushError } from "../../../src/errors.js";
import type { AdminRoute } from "../../../src/observability/admin/admin-response.js";
import { AdminServer } from "../../../src/observability/admin/admin-server.js";
import { within } from "../../support/deadline.js";

const text = (body: string) => ({ status: 200, type: "text/plain", body });

async function start(
  t: TestContext,
  routes: Readonly<Record<string, AdminRoute>> = {},
  listen = "127.0.0.1:0",
  maxConnections = 100,
) {
  const failures: unknown[] = [];
  const table = new Map<string, AdminRoute>([["/x", { GET: () => text("hello") }], ...Object.entries(routes)]);
  let fullness = 0;
  const full = () => fullness++;
  const server = new AdminServer({
    listen,
    routes: table,
    maxConnections,
    full,
    failed: (error) => failures.push(error),
  });
  await server.start();
  t.after(() => server.close());
  return { server, url: server.url, failures, fullness: () => fullness };
}

/** Sends bytes as they are and returns everything that comes back until the other end closes. */
function raw(url: string, bytes: string | Buffer): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(bytes));
  let answer = "";
  socket.setEncoding("latin1").on("data", (more) => {
    answer += more;
  });
  const closed = new Promise<string>((resolve) => {
    socket.on("close", () => resolve(answer)).on("error", () => {});
  });
  return within(10_000, closed, "the server to close").finally(() => socket.destroy());
}

describe("AdminServer", () => {
  test("a path that is known answers, with what keeps others from storing or misreading it", async (t) => {
    const { url } = await start(t);
    const response = await fetch(`${url}/x?query=1`);
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "hello");
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("access-control-allow-origin"), null);
  });

  test("HEAD answers as GET does, without the body", async (t) => {
    const { url } = await start(t);
    const response = await fetch(`${url}/x`, { method: "HEAD" });
    assert.deepEqual([response.status, response.headers.get("content-length"), await response.text()], [200, "5", ""]);
  });

  for (const path of ["/", "/X", "/x/", "//x", "/%78", "/x%00", "/__proto__", "/constructor", "/../x"]) {
    test(`any other path is 404: ${path}`, async (t) => {
      const { url } = await start(t);
      assert.match(
        await raw(url, `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`),
        /^HTTP\/1\.1 404 /,
      );
    });
  }

  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"]) {
    test(`answers 405 with Allow to ${method}`, async (t) => {
      const { url } = await start(t);
      const answer = await raw(url, `${method} /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 405 .*\r\nAllow: GET, HEAD\r\n/s);
    });
  }

  test("answers 500 without the reason if a route fails, reports the reason, and serves the next request", async (t) => {
    const broken: AdminRoute = { GET: () => Promise.reject(new Error("secret")) };
    const { url, failures } = await start(t, { "/broken": broken });
    const response = await fetch(`${url}/broken`);
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /secret/);
    assert.match(String(failures[0]), /secret/);
    assert.equal((await fetch(`${url}/x`)).status, 200);
  });

  const HOSTILE: [what: string, bytes: string | Buffer, answer: RegExp][] = [
    ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", /^HTTP\/1\.1 400 /],
    [
      "a header bomb",
      `GET /x HTTP/1.1\r\nHost: localhost\r\n${"X: y\r\n".repeat(5000)}\r\n`,
      /^HTTP\/1\.1 (?:431|400) /,
    ],
    ["one giant header", `GET /x HTTP/1.1\r\nHost: localhost\r\nX: ${"y".repeat(100_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
    ["a giant path", `GET /${"x".repeat(100_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, /^HTTP\/1\.1 431 /],
    [
      "both lengths",
      "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
      /^HTTP\/1\.1 400 /,
    ],
    ["a negative length", "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", /^HTTP\/1\.1 400 /],
    [
      "a body that never comes",
      "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n",
      /^HTTP\/1\.1 405 /,
    ],
    [
      "a body nobody asked for",
      "GET /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n12345",
      /^HTTP\/1\.1 200 /,
    ],
    [
      "an absolute form",
      "GET http://evil/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      /^HTTP\/1\.1 404 /,
    ],
    [
      "a name that leads here (DNS rebinding)",
      "GET /x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
      /^HTTP\/1\.1 421 /,
    ],
    ["a tunnel", "CONNECT evil:80 HTTP/1.1\r\nHost: evil:80\r\n\r\n", /^$/],
    [
      "an upgrade",
      "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
      /^HTTP\/1\.1 200 /,
    ],
    ["an asterisk", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", /^HTTP\/1\.1 404 /],
    ["no host", "GET /x HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["the second half never", "GET /x HTTP/1.1\r\nHost: localhost\r\nX-Slow", /^HTTP\/1\.1 408 /],
  ];

  for (const [what, bytes, answer] of HOSTILE) {
    test(`hostile input is answered or cut, and the next request is served: ${what}`, async (t) => {
      const { url, failures } = await start(t);
      assert.match(await raw(url, bytes), answer);
      assert.equal(await (await fetch(`${url}/x`)).text(), "hello");
      assert.deepEqual(failures, []);
    });
  }

  test("reports no failure for a client that disconnects before its response", async (t) => {
    let answer = () => {};
    const asked = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let go = () => {};
    const slow: AdminRoute = {
      GET: () => {
        answer();
        return new Promise((resolve) => {
          go = () => resolve(text("late"));
        });
      },
    };
    const { url, failures } = await start(t, { "/slow": slow });
    const gone = new AbortController();
    const asking = fetch(`${url}/slow`, { signal: gone.signal });
    await asked;
    gone.abort();
    await assert.rejects(asking);
    go();
    assert.equal((await fetch(`${url}/x`)).status, 200);
    assert.deepEqual(failures, []);
  });

  test("close ends idle and open connections, and frees the address", async (t) => {
    const { server, url } = await start(t);
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    const closed = new Promise((resolve) => socket.on("close", resolve).on("error", () => {}));
    await new Promise<void>((resolve) => socket.on("connect", resolve));
    await server.close();
    await within(5000, closed, "the connection to end");
    const again = new AdminServer({ listen: new URL(url).host, routes: new Map(), failed: () => {} });
    await again.start();
    await again.close();
  });

  test("rejects an address in use, with a fix", async (t) => {
    const { url } = await start(t);
    const { host } = new URL(url);
    const second = new AdminServer({ listen: host, routes: new Map(), failed: () => {} });
    await assert.rejects(second.start(), (error) => {
      assert.ok(error instanceof M2pushError);
      assert.equal(error.code, "link_failed");
      assert.match(error.message, /cannot listen on 127\.0\.0\.1:\d+: another program, .*; fix: set \[admin\] listen/);
      return true;
    });
    await second.close();
  });

  test("IPv6 addresses are written with brackets", async (t) => {
    const { url } = await start(t, {}, "[::1]:0");
    assert.match(url, /^http:\/\/\[::1\]:\d+$/);
    assert.equal((await fetch(`${url}/x`)).status, 200);
  });

  /** A connection that asks nothing; `closed` resolves when the other end closes it. */
  async function idle(t: TestContext, url: string) {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    t.after(() => socket.destroy());
    const closed = new Promise((resolve) => socket.on("close", resolve).on("error", () => {}));
    await new Promise<void>((resolve) => socket.on("connect", resolve));
    return { socket, closed };
  }

  test("at its connection limit, closes the connection that was idle for longest", async (t) => {
    const { url, fullness } = await start(t, {}, "127.0.0.1:0", 5);
    const idlers = [];
    for (let at = 0; at < 5; at++) idlers.push(await idle(t, url));
    const probed = await raw(url, "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert.match(probed, /^HTTP\/1\.1 200 /);
    await within(5000, idlers[0]?.closed ?? Promise.reject(), "the oldest to be closed");
    assert.equal(fullness(), 1);
    assert.deepEqual(
      idlers.slice(1).map(({ socket }) => socket.destroyed),
      [false, false, false, false],
    );
  });

  test("streams and answers that are being made keep their connections; where there are no others a new one is closed", async (t) => {
    let begun = (_: () => void) => {};
    const answering = new Promise<() => void>((resolve) => {
      begun = resolve;
    });
    const busy: AdminRoute = { GET: () => new Promise((resolve) => begun(() => resolve(text("late")))) };
    const watched: AdminRoute = {
      GET: () => ({ status: 200, type: "text/plain", body: (out) => out.write("first\n") }),
    };
    const { url } = await start(t, { "/busy": busy, "/watched": watched }, "127.0.0.1:0", 2);
    const leaving = new AbortController();
    t.after(() => leaving.abort());
    const stream = await fetch(`${url}/watched`, { signal: leaving.signal });
    const reader = stream.body?.getReader();
    await reader?.read();
    const slow = await idle(t, url);
    slow.socket.write("GET /busy HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const answered = new Promise((resolve) => slow.socket.once("data", resolve));
    const answer = await answering;
    assert.equal(await raw(url, "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), "");
    answer();
    assert.match(String(await answered), /late/);
    // Its answer is written: it is idle, and makes room for a probe.
    assert.match(await raw(url, "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), /^HTTP\/1\.1 200 /);
    await slow.closed;
  });
});
