/**
 * Connections that come and go by the thousand between some that are kept and ask now and then. Mongrel2 numbers connections, so what
 * a kept one asks comes with a number far below the newest. No stream may be cut for that, and no event lost or doubled.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { crowd } from "./crowd.js";
import { Changes } from "./deadline.js";
import type { Pair } from "./pair.js";

/** Visitors that are there at the same time. */
const AT_ONCE = 20;
/** Streams that are open all the time. */
const STREAMS = 50;
/** Kept connections of publishers, in one pool, and others that ask for this and that. */
const PUBLISHERS = 4;
const ASKING = 4;
/** Number of visitors after which each kept connection sends a request. */
const ROUND = 500;
/** Visitors that connect to Mongrel2 directly, for each one that connects through a server in front of it. */
const DIRECT_SHARE = 10;

export interface ChurnOptions {
  readonly visitors: number;
  /** Where clients connect; absent = Mongrel2's port. */
  readonly port?: number;
  readonly after: (end: () => unknown) => void;
}

/** Resolves with the number of events that everybody has received, once each and in order. */
export async function churn(pair: Pair, options: ChurnOptions): Promise<number> {
  const { visitors, after, port = pair.mongrel2.port } = options;
  const browsers = await crowd(pair, STREAMS, (end) => after(end), `http://127.0.0.1:${port}`);
  const pool = new Agent({ keepAlive: true, maxSockets: PUBLISHERS });
  after(() => pool.destroy());
  const keep = async (count: number) => {
    const kept = await Promise.all(Array.from({ length: count }, () => KeptConnection.open(port)));
    after(() => kept.map((it) => it.close()));
    return kept;
  };
  const [asking, streaming] = [await keep(ASKING), await keep(2)];
  for (const it of [...asking, ...streaming]) await it.ask();
  let number = 0;
  const publish = async () => {
    const statuses = Array.from({ length: PUBLISHERS }, () => post(port, pool, `${++number}`));
    assert.deepEqual([...new Set(await Promise.all(statuses))], [200]);
  };
  await publish();
  for (let gone = 0; gone < visitors; gone += ROUND) {
    await visit(pair.mongrel2.port, ROUND);
    if (port !== pair.mongrel2.port) await visit(port, ROUND / DIRECT_SHARE);
    // Several requests in one write, too.
    for (const [index, it] of asking.entries()) await it.ask(1 + index);
    await publish();
    if (gone === 0) await streaming[0]?.stream("/esupdates");
  }
  await streaming[1]?.stream("/esupdates");
  await publish();
  for (const it of streaming) await it.has(`data: ${number}\n`);
  const all = Array.from({ length: number }, (_, index) => index + 1);
  for (const browser of browsers) {
    await browser.until(() => all.length <= browser.received.length, "the last event");
    // Publishers publish side by side: in any order, but once each.
    assert.deepEqual(
      [...browser.received].sort((a, b) => a - b),
      all,
    );
    assert.deepEqual([browser.opens, browser.gaps], [1, []]);
  }
  assert.deepEqual(
    pair.daemon.log.filter(({ event }) => event === "link_lost"),
    [],
    "no epoch was lost",
  );
  return number;
}

/** One POST of an event over a kept connection; resolves with the status. */
export function post(port: number, agent: Agent, data: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const url = `http://127.0.0.1:${port}/.well-known/mercure`;
    const asked = request(url, { method: "POST", agent, headers }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
    });
    asked.on("error", reject).end(`topic=t&data=${data}`);
  });
}

/** Opens `count` connections of one request each, some at a time. */
export async function visit(port: number, count: number): Promise<void> {
  let left = count;
  const visitor = async () => {
    while (left-- > 0) {
      const connection = await KeptConnection.open(port);
      await connection.ask();
      connection.close();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, visitor));
}

/** A connection on which requests are written as they stand, one after the other. */
export class KeptConnection {
  readonly #socket: Socket;
  readonly #changes = new Changes();
  #text = "";

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {}); // it closes
    socket.on("data", (bytes) => {
      this.#text += bytes;
      this.#changes.tell();
    });
  }

  static async open(port: number): Promise<KeptConnection> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new KeptConnection(socket);
  }

  close(): void {
    this.#socket.destroy();
  }

  has(text: string): Promise<unknown> {
    return this.#changes.until(
      () => this.#text.includes(text),
      text,
      undefined,
      () => `; it received: ${JSON.stringify(this.#text.slice(-2000))}`,
    );
  }

  /** Sends several requests in one write and keeps the connection open; resolves when all are answered. */
  async ask(count = 1): Promise<void> {
    this.#text = "";
    this.#socket.write("OPTIONS /.well-known/mercure HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(count));
    const answered = () => this.#text.split("HTTP/1.1 204").length - 1 >= count;
    await this.#changes.until(answered, `${count} answers`, undefined, () => this.#text);
  }

  /** A stream after what it asked for before. */
  async stream(path: string): Promise<void> {
    this.#text = "";
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await this.has("\nid: ");
  }
}
