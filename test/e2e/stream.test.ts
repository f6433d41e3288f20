/** The stream through a real Mongrel2, and everything else that a client may send to its address. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeControlReply, encodeCommand } from "../../src/protocol/control-protocol.js";
import { askControl } from "../support/control.js";
import { listens, startPair } from "../support/pair.js";
import { RawConnection, raw } from "../support/sse-client.js";

const request = (line: string, ...headers: string[]) => [line, "Host: localhost", ...headers, "", ""].join("\r\n");

describe("Stream, end to end", { concurrency: 3 }, () => {
  for (const protocol of ["json", "tnetstring"] as const) {
    test(`a browser gets the head, a first position and every event (headers as ${protocol})`, async (t) => {
      const pair = await startPair(t, { protocol });
      const client = await pair.stream();
      assert.equal(client.headers["content-type"], "text/event-stream");
      assert.equal(client.headers["cache-control"], "no-cache, no-store, max-age=0, must-revalidate, no-transform");
      assert.equal(client.headers["x-accel-buffering"], "no");
      assert.equal(client.headers.pragma, "no-cache");
      assert.ok(client.headers.expires);
      assert.match(
        client.text,
        /^: time stream\nretry: 5000\nevent: m2push-open\nid: #[A-Za-z0-9_-]+\.0\ndata: \{\}\n\n$/,
      );
      await pair.publisher.publish("one");
      await pair.publisher.publish("two\nlines", "news", { id: "order-7", type: "order" });
      const [one, two] = [await client.next(), await client.next()];
      assert.equal(one.data, "one");
      assert.deepEqual([two.data, two.type, two.id], ["two\nlines", "order", "order-7"]);
    });
  }

  test("the beacon tells the time, with ids that count up", async (t) => {
    const pair = await startPair(t, { config: { beacon: { interval: "50ms" } } });
    const client = await pair.stream();
    const events = [await client.next(), await client.next(), await client.next()];
    for (const { data } of events) assert.match(data, /^Timestamp \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const offsets = events.map(({ id }) => Number(id.split(".")[1]));
    assert.deepEqual(offsets, [offsets[0], (offsets[0] ?? 0) + 1, (offsets[0] ?? 0) + 2]);
  });

  test("connects and disconnects are told in the log", async (t) => {
    const pair = await startPair(t);
    const client = await pair.stream();
    const connected = await pair.daemon.logged(({ event }) => event === "connect", "the connect");
    assert.equal(connected.msg, "client connected");
    const { server, remote, topics, clients } = connected;
    assert.deepEqual(
      { server, remote, topics, clients },
      { server: "main", remote: "127.0.0.1", topics: ["*"], clients: 1 },
    );
    await client.close();
    const gone = await pair.daemon.logged(({ event }) => event === "disconnect", "the disconnect");
    assert.equal(gone.msg, "client disconnected");
    assert.deepEqual([gone.client, gone.reason, gone.clients], [connected.client, "left", 0]);
    assert.ok(Number(gone.seconds) >= 0);
  });

  test("a connection that Mongrel2 closed without a word is found dead by the keep-alive sweep", async (t) => {
    const pair = await startPair(t, { config: { stream: { keepalive: "1s" } } });
    await pair.stream();
    const { client } = await pair.daemon.logged(({ event }) => event === "connect", "the connect");
    const kill = encodeCommand("kill", { id: Number(client) });
    decodeControlReply(await askControl(pair.mongrel2, kill));
    const found = await pair.daemon.logged(({ event }) => event === "disconnect", "the disconnect");
    assert.deepEqual([found.client, found.reason], [client, "found dead"]);
  });

  test("the classic publisher's raw frames work unchanged", async (t) => {
    const pair = await startPair(t);
    const client = await pair.stream();
    await pair.publisher.send(["id: 1\r\ndata: Timestamp 123\r\n\r\n"]);
    const event = await client.next();
    assert.deepEqual([event.data, event.id], ["Timestamp 123", "1"]);
  });

  test("bad publications are told and dropped, and the next good one arrives", async (t) => {
    const pair = await startPair(t);
    const client = await pair.stream();
    await pair.publisher.send([Buffer.from([0xff, 0xfe])]);
    await pair.publisher.send(["", ""]);
    await pair.publisher.send(["t", "x".repeat(200_000)]);
    await pair.publisher.send(["t", "d", "{not json"]);
    await pair.publisher.send(["a", "b", "c", "d", "e"]);
    await pair.publisher.publish("good");
    assert.equal((await client.next()).data, "good");
    const rejected = await pair.daemon.logged(({ event }) => event === "publication_rejected", "a rejection");
    assert.ok(String(rejected.reason).length > 10);
  });

  test("what is not a GET of the stream is answered, and the connection closed", async (t) => {
    const pair = await startPair(t, {
      handlers: [{ routes: ["/esupdates", "@chat", "<test"] }],
      settings: { "upload.temp_store": "tmp/XXXXXX" },
    });
    const { port } = pair.mongrel2;
    const status = async (bytes: string | Buffer) => /^HTTP\/1\.1 (\d+)/.exec(await raw(port, bytes))?.[1];
    assert.equal(await status(request("GET /esup HTTP/1.1")), "404");
    assert.equal(await status(request("GET /esupdatesX HTTP/1.1")), "404");
    assert.equal(await status(request("GET /esupdates/../x HTTP/1.1")), "404");
    assert.equal(await status(request("DELETE /esupdates HTTP/1.1")), "405");
    assert.equal(await status(request("constructor /esupdates HTTP/1.1".toUpperCase())), "405");
    assert.equal(await status(`${request("POST /esupdates HTTP/1.1", "Content-Length: 3")}abc`), "405");
    assert.equal(
      await status(`${request("POST /esupdates HTTP/1.1", "Content-Length: 30000")}${"u".repeat(30_000)}`),
      "413",
    );
    assert.equal(
      await status(`${request("JSON /esupdates HTTP/1.1", "Content-Length: 21")}{"type":"disconnect"}`),
      "405",
    );
    const options = await raw(port, request("OPTIONS /esupdates HTTP/1.1"));
    assert.match(options, /^HTTP\/1\.1 204 /);
    assert.match(options, /^Allow: GET, HEAD, OPTIONS\r$/m);
    const head = await raw(port, request("HEAD /esupdates HTTP/1.1"));
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(head, /^Content-Type: text\/event-stream\r$/m);
    assert.ok(head.endsWith("\r\n\r\n"), "a HEAD has no body");
    const handshake = [
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Version: 13",
    ];
    assert.equal(await status(request("GET /esupdates HTTP/1.1", ...handshake)), "400");
    assert.equal(await raw(port, '@chat {"type":"disconnect"}\0'), "");
    assert.equal(await raw(port, '<test a="1">x</test>\0'), "");
    const client = await pair.stream();
    await pair.publisher.publish("still here");
    assert.equal((await client.next()).data, "still here");
  });

  test("requests that break careless parsers are served like any other", async (t) => {
    const pair = await startPair(t);
    for (const header of [
      "X-T: a\tb",
      "X-C: a\x01b",
      "__proto__: x",
      "X-L: caf\xe9",
      "METHOD: JSON",
      "X-Mongrel2-Upload-Done: /etc/passwd",
    ]) {
      const received = await raw(
        pair.mongrel2.port,
        Buffer.from(request("GET /esupdates HTTP/1.1", header), "latin1"),
        (text) => text.includes("\nid: "),
      );
      assert.match(received, /^HTTP\/1\.1 200 OK/, header);
    }
    const old = await raw(pair.mongrel2.port, "GET /esupdates HTTP/1.0\r\n\r\n", (text) => text.includes("\nid: "));
    assert.match(old, /^HTTP\/1\.1 200 OK/);
  });

  test("a second request on a stream ends the connection, and nobody else notices", async (t) => {
    const pair = await startPair(t);
    const other = await pair.stream();
    const connection = new RawConnection(pair.mongrel2.port);
    connection.write(request("GET /esupdates HTTP/1.1"));
    await connection.until(({ text }) => text.includes("\nid: "), "the stream");
    connection.write(request("GET /esupdates HTTP/1.1"));
    await connection.over();
    assert.equal(connection.text.match(/HTTP\/1\.1/g)?.length, 1);
    const gone = await pair.daemon.logged(({ event }) => event === "disconnect", "the disconnect");
    assert.equal(gone.reason, "second request");
    await pair.publisher.publish("x");
    assert.equal((await other.next()).data, "x");
  });

  test("beyond max_clients a client gets 503 and when to come again", async (t) => {
    const pair = await startPair(t, { config: { stream: { max_clients: 1 } } });
    const first = await pair.stream();
    const refused = await pair.stream();
    assert.equal(refused.status, 503);
    assert.equal(refused.headers["retry-after"], "5");
    await first.close();
    await pair.daemon.logged(({ event }) => event === "disconnect", "the disconnect");
    assert.equal((await pair.stream()).status, 200);
  });

  test("a burst of 200 events reaches 200 clients, all of them, in order", async (t) => {
    const pair = await startPair(t);
    const clients = await Promise.all(Array.from({ length: 200 }, () => pair.stream()));
    for (let event = 1; event <= 200; event++) void pair.publisher.publish(`${event}`);
    for (const client of clients) {
      await client.until(({ events }) => events.length >= 200, "all events");
      assert.deepEqual(
        client.events.map(({ data }) => Number(data)),
        Array.from({ length: 200 }, (_, index) => index + 1),
      );
    }
  });

  test("streams outlive Mongrel2's idle limits", async (t) => {
    const settings = { "limits.min_ping": 3, "limits.tick_timer": 1 };
    const pair = await startPair(t, { settings, config: { stream: { keepalive: "1s", heartbeat: "0" } } });
    const client = await pair.stream();
    await pair.aged(8); // without keep-alives it would have been closed at 5 s at the latest
    await pair.publisher.publish("still open");
    assert.equal((await client.next()).data, "still open");
  });

  test("SIGTERM and SIGINT stop the daemon with exit code 0, and it holds no socket", async (t) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const pair = await startPair(t);
      assert.equal(await pair.daemon.stop(signal), 0);
      assert.equal(await listens(Number(pair.publishSpec.split(":").at(-1))), false);
    }
  });

  test("SIGHUP reads the configuration again and names what needs a restart", async (t) => {
    const pair = await startPair(t);
    const client = await pair.stream();
    const { readFileSync, writeFileSync } = await import("node:fs");
    const text = readFileSync(pair.daemon.configFile, "utf8");
    writeFileSync(
      pair.daemon.configFile,
      text.replace('interval = "0"', 'interval = "20ms"').replace("[publish]", '[hub]\npath = "/other"\n[publish]'),
    );
    pair.daemon.signal("SIGHUP");
    const told = await pair.daemon.logged((line) => Array.isArray(line.keys), "the warning");
    assert.deepEqual(told.keys, ["hub.path"]);
    assert.match((await client.next()).data, /^Timestamp /);
    writeFileSync(pair.daemon.configFile, "[strem]\n");
    pair.daemon.signal("SIGHUP");
    await pair.daemon.logged(({ event }) => event === "reload_failed", "the refusal");
    assert.match((await client.next()).data, /^Timestamp /);
  });
});
