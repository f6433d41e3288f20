/**
 * Compressed streams for a long time: clients with decoders of their own join and leave every 0.3 s while events are published, and the
 * daemon is killed twice. `node build/test/soak/compression.js [events to clients]` (1,000,000); exit code 1 when a client has decoded
 * anything but what was published since it came.
 */
import assert from "node:assert/strict";
import { get } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { constants, createGunzip } from "node:zlib";
import { EventStreamParser } from "../support/event-stream.js";
import { type Pair, startPair } from "../support/pair.js";
import { readReceived } from "../support/received.js";

const wanted = Number(process.argv[2] ?? 1_000_000);
const CLIENTS = 60;
const JOIN_INTERVAL_MS = 300;
const PUBLISH_INTERVAL_MS = 5;

const dataOf = (number: number) =>
  JSON.stringify({ number, symbol: `SYM${number % 40}`, price: (100 + Math.sin(number) * 50).toFixed(2) });

/** One client; it checks what it gets as it comes. */
class Client {
  received = 0;
  fault: string | undefined;
  readonly #numbers: number[] = [];
  readonly #request;

  constructor(url: string) {
    const parser = new EventStreamParser();
    let seen = 0;
    this.#request = get(url, { agent: false, headers: { accept: "text/event-stream", "accept-encoding": "gzip" } });
    this.#request.on("response", (response) => {
      if (response.headers["content-encoding"] !== "gzip") this.fault = "the stream is plain";
      const gunzip = createGunzip({ flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH });
      gunzip.on("error", (error) => {
        this.fault ??= error.message;
      });
      gunzip.on("data", (bytes: Buffer) => {
        parser.push(bytes);
        for (; seen < parser.events.length; seen++) this.#take(parser.events[seen]?.data ?? "");
      });
      response.on("error", () => {}); // it is cut when it leaves
      response.pipe(gunzip);
    });
    this.#request.on("error", () => {});
  }

  #take(data: string): void {
    const number = Number(/^\{"number":(\d+),/.exec(data)?.[1]);
    if (data !== dataOf(number)) this.fault ??= `decoded ${data.slice(0, 200)}`;
    this.#numbers.push(number);
    this.received++;
  }

  get last(): number {
    return this.#numbers.at(-1) ?? -1;
  }

  /** Leaves; the number of events, which must follow each other. */
  leave(): number {
    this.#request.destroy();
    assert.equal(this.fault, undefined);
    const { once } = readReceived(this.#numbers);
    assert.deepEqual(
      once,
      once.map((_, at) => (once[0] ?? 0) + at),
      "each event follows the one before",
    );
    return this.received;
  }
}

async function restart(pair: Pair, clients: readonly Client[], number: number): Promise<void> {
  while (clients.some(({ last }) => last >= 0 && last < number - 1)) await pause(20);
  await pair.aged(4);
  await pair.daemon.kill9();
  await pair.restart();
  await pair.daemon.logged(({ event }) => event === "adoption_completed", "the streams to be adopted");
}

async function soak(pair: Pair): Promise<void> {
  const url = `${pair.mongrel2.url}/esupdates?topic=t`;
  const clients: Client[] = [];
  for (let count = 0; count < CLIENTS; count++) clients.push(new Client(url));
  let [number, left, joins, kills] = [0, 0, 0, 0];
  const total = () => left + clients.reduce((sum, { received }) => sum + received, 0);
  for (let joinAt = Date.now(); total() < wanted; ) {
    for (let count = 1 + (number % 3); count > 0; count--) await pair.publisher.publish(dataOf(number++), "t");
    await pause(PUBLISH_INTERVAL_MS);
    for (const { fault } of clients) assert.equal(fault, undefined);
    if (Date.now() > joinAt) {
      joinAt = Date.now() + JOIN_INTERVAL_MS;
      joins++;
      left += clients.splice((joins * 7) % CLIENTS, 1, new Client(url))[0]?.leave() ?? 0;
    }
    if (total() > (wanted * (kills + 1)) / 3 && kills < 2) {
      kills++;
      await restart(pair, clients, number);
    }
  }
  while (clients.some(({ last }) => last < number - 1)) await pause(20);
  for (const client of clients.splice(0)) left += client.leave();
  console.log(
    `${left} events to clients: ${number} published, ${joins} joins, ${kills} kills; none wrong, none missing`,
  );
}

const ends: (() => unknown)[] = [];
const lifetime = { after: (end: () => unknown) => void ends.push(end) };
try {
  const settings = { "limits.tick_timer": 1 };
  await soak(await startPair(lifetime as never, { settings, config: { stream: { compression: "public" } } }));
} finally {
  for (const end of ends.reverse()) await end();
}
