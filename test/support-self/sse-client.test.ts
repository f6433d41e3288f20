/** The tests' clients, against a server of node's. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterEach, describe, test } from "node:test";
import { openStream, RawConnection, raw } from "../support/sse-client.js";

let server: Server | undefined;

async function serve(listener: RequestListener): Promise<number> {
  const listening = createServer(listener).listen(0, "127.0.0.1");
  server = listening;
  await once(listening, "listening");
  return (listening.address() as AddressInfo).port;
}

function shut(): void {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
}

describe("SSE client of the test support", () => {
  afterEach(shut);

  const STREAM = { "content-type": "text/event-stream" };

  test("a stream shows status, headers, events, comments, retry and the last event id", async () => {
    const port = await serve((request, response) => {
      response.writeHead(200, STREAM);
      response.write(
        `: ${request.headers["last-event-id"]} ${request.headers.accept}\n\nretry: 9\nid: a\ndata: 1\n\ndata: 2\n\n`,
      );
    });
    const client = await openStream(`http://127.0.0.1:${port}/x`, { "last-event-id": "z" });
    assert.equal(client.status, 200);
    assert.equal(client.headers["content-type"], "text/event-stream");
    assert.equal((await client.next(({ data }) => data === "2")).id, "a");
    assert.deepEqual(client.comments, [" z text/event-stream"]);
    assert.deepEqual([client.retry, client.lastEventId, client.events.length], [9, "a", 2]);
    await assert.rejects(client.next(undefined, 1), /waited 1 ms for an event; the stream is open/);
    await client.close();
    assert.equal(client.isClosed, true);
  });

  test("a refusal is a client, too, with its status and text", async () => {
    const port = await serve((_, response) => response.writeHead(503, { "retry-after": "1" }).end("full"));
    const client = await openStream(`http://127.0.0.1:${port}/`);
    await client.closed;
    assert.deepEqual([client.status, client.headers["retry-after"], client.text], [503, "1", "full"]);
  });

  test("a stream that is cut within an event ends, and the event is not reported", async () => {
    const port = await serve((_, response) => {
      response.writeHead(200, STREAM);
      response.write("data: 1\n\ndata: 2\n", () => response.destroy());
    });
    const client = await openStream(`http://127.0.0.1:${port}/`);
    await client.closed;
    assert.deepEqual(
      client.events.map(({ data }) => data),
      ["1"],
    );
    assert.equal((await client.next()).data, "1");
    await assert.rejects(client.next(), /the stream ended before the event came/);
  });

  test("a server that never answers, and one that is not there, are errors", async () => {
    const port = await serve(() => {});
    await assert.rejects(openStream(`http://127.0.0.1:${port}/`, {}, 1), /waited 1 ms for the head/);
    shut();
    await assert.rejects(openStream(`http://127.0.0.1:${port}/`), /ECONNREFUSED/);
  });

  test("raw gives back what came until the server closed, or until it is enough", async () => {
    const port = await serve((_, response) => response.end("hi"));
    assert.match(await raw(port, "GET / HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 OK\r\n[\s\S]*hi$/);
    assert.match(await raw(port, "nonsense\r\n\r\n"), /^HTTP\/1\.1 400 /);
    const kept = await raw(
      port,
      "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
      (text) => text.endsWith("hi\r\n0\r\n\r\n") || text.endsWith("hi"),
    );
    assert.match(kept, /keep-alive/);
  });

  test("a raw connection sends in pieces and can leave by halves, at once, or with a reset", async () => {
    const errors: string[] = [];
    const plain = createTcpServer({ allowHalfOpen: true }, (socket) => {
      socket.on("data", (bytes) => socket.write(`<${bytes}>`));
      socket.on("end", () => socket.end("bye"));
      socket.on("error", (error: NodeJS.ErrnoException) => errors.push(error.code ?? ""));
    });
    plain.listen(0, "127.0.0.1");
    await once(plain, "listening");
    const { port } = plain.address() as AddressInfo;
    for (const leave of ["halfClose", "close", "reset"] as const) {
      const connection = new RawConnection(port);
      connection.write("a");
      await connection.until(({ text }) => text === "<a>", "the first piece");
      connection.write("b");
      await connection.until(({ text }) => text === "<a><b>", "the second piece");
      connection[leave]();
      await connection.over();
      if (leave === "halfClose") assert.equal(connection.text, "<a><b>bye");
    }
    plain.close();
    await once(plain, "close");
    assert.deepEqual(errors, ["ECONNRESET"]);
  });
});
