/**
 * Mongrel2 is killed while private events go to every stream, and its browsers are back at once: the same connection numbers are other
 * people's by then. Every second of those who come back is a stranger, who may see nothing private; the others get their own topic.
 */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { bearer, oldForAll } from "../e2e/mercure.js";
import { Changes } from "./deadline.js";
import { type Pair, serving } from "./pair.js";

/** Connections under way at once: Mongrel2's listen queue holds 128. */
const WINDOW = 100;
/** The kernel tries again after a second where the queue was full; a new connection is tried after this time, ms. */
const CONNECT_TIMEOUT_MS = 30;
/** Before the next try where nobody listens, milliseconds. */
const RETRY_MS = 2;
/** Private events published together, and the pause after them, milliseconds. */
const BURST = 40;
const BURST_PAUSE_MS = 20;
const WAIT_TIMEOUT_MS = 60_000;

export interface Restart {
  /** From the kill until all have connected again and sent their request, milliseconds. */
  readonly backMs: number;
  /** From the kill until all are served. */
  readonly servedMs: number;
  /** Private events that were published meanwhile. */
  readonly published: number;
}

/** Kills and starts the Mongrel2 of `pair` (which must trust tokens with SECRET) `kills` times under `streams` streams. */
export async function restartUnderPrivateEvents(pair: Pair, streams: number, kills: number): Promise<Restart[]> {
  const token = await oldForAll();
  const named = (index: number) => RawStream.request(`?topic=secret-${index}`, token);
  const stranger = () => RawStream.request("?topic=public");
  const events = new PrivateEvents(pair, streams);
  const restarts: Restart[] = [];
  let open = await openStreams(pair, streams, named);
  try {
    for (let kill = 0; kill < kills; kill++) {
      const from = pair.daemon.log.length;
      const [published, began] = [events.count, performance.now()];
      await pair.mongrel2.kill9();
      for (const stream of open) stream.close();
      const starting = pair.mongrel2.start();
      let backMs = 0;
      const back = () => {
        backMs = performance.now() - began;
      };
      open = await openStreams(pair, streams, (index) => (index % 2 === 0 ? named(index) : stranger()), back);
      await Promise.all([starting, serving(pair.daemon, from)]);
      const servedMs = performance.now() - began;
      void pair.publisher.publish("the end", "public");
      for (const [index, stream] of open.entries()) {
        if (index % 2 === 1) await stream.has("data: the end\n");
        for (const [, whose] of stream.text.matchAll(/^data: for (\d+);/gm))
          assert.ok(index % 2 === 0 && whose === `${index}`, `${index} got what was for ${whose}`);
      }
      restarts.push({ backMs, servedMs, published: events.count - published });
    }
  } finally {
    await events.end();
    for (const stream of open) stream.close();
  }
  return restarts;
}

/** Private events for all in turn, until end(). */
class PrivateEvents {
  count = 0;
  #ends = false;
  readonly #running: Promise<void>;

  constructor(pair: Pair, topics: number) {
    this.#running = this.#run(pair, topics);
  }

  async end(): Promise<void> {
    this.#ends = true;
    await this.#running;
  }

  async #run({ publisher }: Pair, topics: number): Promise<void> {
    while (!this.#ends) {
      const sending = Array.from({ length: BURST }, () => {
        const whose = (this.count++ * 7919) % topics;
        const draft = { topic: `secret-${whose}`, data: `for ${whose};`, private: true };
        return publisher.send([JSON.stringify(draft)]);
      });
      await Promise.all(sending);
      await pause(BURST_PAUSE_MS);
    }
  }
}

/** Resolves when all have their first event id. `back`: all have connected and sent their request. */
async function openStreams(
  { mongrel2 }: Pair,
  count: number,
  request: (index: number) => string,
  back = () => {},
): Promise<RawStream[]> {
  const streams: RawStream[] = [];
  let next = 0;
  const opener = async () => {
    while (next < count) {
      const index = next++;
      const stream = await RawStream.open(mongrel2.port, request(index));
      streams[index] = stream;
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, opener));
  back();
  for (const stream of streams) await stream.has("\nid: ");
  return streams;
}

class RawStream {
  text = "";
  readonly #socket: Socket;
  readonly #changes = new Changes();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {}); // it closes
    socket.on("data", (bytes) => {
      this.text += bytes.toString("latin1");
      this.#changes.tell();
    });
  }

  static request(query: string, token?: string): string {
    const more = token === undefined ? "" : `Authorization: ${bearer(token).authorization}\r\n`;
    return `GET /esupdates${query} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
  }

  /** Tries again until somebody listens. */
  static async open(port: number, request: string): Promise<RawStream> {
    for (;;) {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      const isOpen = await new Promise<boolean>((resolve) => {
        socket.setTimeout(CONNECT_TIMEOUT_MS, () => resolve(false));
        socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      });
      socket.setTimeout(0);
      if (!isOpen) {
        socket.destroy();
        await pause(RETRY_MS);
        continue;
      }
      const stream = new RawStream(socket);
      socket.write(request);
      return stream;
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  has(text: string): Promise<unknown> {
    return this.#changes.until(
      () => {
        if (/^HTTP\/1\.1 [^2]/.test(this.text)) throw new Error(`refused: ${this.text}`);
        return this.text.includes(text);
      },
      JSON.stringify(text),
      WAIT_TIMEOUT_MS,
      () => `; it received: ${JSON.stringify(this.text.slice(-1000))}`,
    );
  }
}
