/**
 * Compressed streams: what they save, what they cost, and whether bursts are as fast as plain ones.
 * `node build/bench/compression.js [ratio] [cost] [burst]`; absent = all. The first two need no Mongrel2.
 */
import { CompressedAudience } from "../src/delivery/compressed-audience.js";
import { encodeFor } from "../src/delivery/compressed-bodies.js";
import { Compression } from "../src/delivery/compression.js";
import { type Deflater, type DeflaterKind, openDeflater } from "../src/delivery/deflater.js";
import { EVERYTHING_PUBLIC } from "../src/matching/interest.js";
import { storedBlocks } from "../src/protocol/gzip.js";
import { encodeEvent } from "../src/protocol/sse.js";
import { startDaemon } from "../test/support/daemon.js";
import { startMongrel2 } from "../test/support/mongrel2.js";
import { freePort } from "../test/support/ports.js";
import { MONGREL2 } from "./contestants/contestant.js";
import { cpuSeconds, daemonConfig, load, MEASURED_CORE, pin, publish } from "./tools.js";

// ---- Events ---------------------------------------------------------------------------------------------------------

let state = 1;
/** A number from 0 up to `below`, the same in each run. */
function random(below: number): number {
  state = (state * 48_271) % 2_147_483_647;
  return state % below;
}
const WORDS =
  "the a of push event stream client page server when then market price order ship late soon after before again is was will be".split(
    " ",
  );
const text = (words: number) => Array.from({ length: words }, () => WORDS[random(WORDS.length)]).join(" ");

const SYMBOLS = 40;
const prices = Array.from({ length: SYMBOLS }, () => 50 + random(200));
/** Prices walk, and times rise. */
function tick(at: number): string {
  const symbol = random(SYMBOLS);
  const change = (random(200) - 100) / 100;
  const moved = (prices[symbol] ?? 0) + change;
  prices[symbol] = moved;
  const time = new Date(1_796_000_000_000 + at * 50).toISOString();
  return JSON.stringify({ symbol: `SYM${symbol}`, price: moved.toFixed(2), change, volume: random(10_000), time });
}

const KINDS: Readonly<Record<string, (at: number) => string>> = {
  "ticker 128 B": tick,
  "chat 265 B": () =>
    JSON.stringify({ user: `user-${random(500)}`, room: `room-${random(20)}`, text: text(30 + random(12)) }),
  "deltas 209 B": (at) =>
    JSON.stringify({
      id: "chatcmpl-9aXkQ2",
      object: "chat.completion.chunk",
      created: 1_796_000_000 + Math.floor(at / 20),
      model: "large-1",
      choices: [{ index: 0, delta: { content: text(1) }, finish_reason: null }],
    }),
};

const eventOf = (kind: string, at: number) => encodeEvent({ id: `#k3j2h1.${at}`, data: KINDS[kind]?.(at) ?? "" });

function bodyOf(kind: string, first: number, events: number) {
  const bytes = Buffer.concat(Array.from({ length: events }, (_, at) => eventOf(kind, first + at)));
  return { bytes: bytes.length, events, isPrivate: false, body: () => bytes };
}

// ---- Ratio ----------------------------------------------------------------------------------------------------------

class Somebody {
  readonly id = 1;
  slot = -1;
  readonly creditLimit = Number.POSITIVE_INFINITY;
  readonly creditAvailable = Number.POSITIVE_INFINITY;
  goLive(slot: number): void {
    this.slot = slot;
  }
  moveTo(slot: number): void {
    this.slot = slot;
  }
  debit(): void {}
}

const SECONDS = 120;
const JOIN_INTERVAL_MS = 300;
const failed = (error: Error) => {
  throw error;
};

/** Plain bytes over bytes as sent, of all clients; one joins and one leaves every 0.3 s, except where `clients` stay. */
function ratio(
  kind: string,
  { clients, rate, events, joins }: Record<"clients" | "rate" | "events" | "joins", number>,
) {
  let now = 0;
  const clock = { monotonic: () => now } as never;
  const compression = new Compression({ mode: "public", clock, failed });
  const outlet = { maxTargets: 128, address: () => Buffer.alloc(1) } as never;
  const audience = new CompressedAudience<Somebody>({ ...EVERYTHING_PUBLIC }, "http://hub/", outlet, 0, compression);
  for (let count = 0; count < clients; count++) audience.add(new Somebody());
  let at = 0;
  for (let joinAt = JOIN_INTERVAL_MS; now < SECONDS * 1000; now += (1000 * events) / rate) {
    for (; joins > 0 && joinAt <= now; joinAt += JOIN_INTERVAL_MS) {
      audience.remove(audience.members[random(audience.size)] as Somebody);
      audience.add(new Somebody());
    }
    compression.begin();
    encodeFor([audience], bodyOf(kind, at, events), compression, outlet);
    at += events;
  }
  audience.removeAll();
  const { shared, own, stored } = compression.counts;
  const all = [shared, own, stored];
  return (
    all.reduce((sum, { plainBytes }) => sum + plainBytes, 0) / all.reduce((sum, { wireBytes }) => sum + wireBytes, 0)
  );
}

function measureRatios(): void {
  const rows = Object.keys(KINDS).flatMap((kind) =>
    [1, 5, 20].map((events) => {
      const of = (clients: number, rate: number, joins: number) =>
        ratio(kind, { clients, rate, events, joins }).toFixed(2);
      const size = bodyOf(kind, 0, 20).bytes / 20;
      return {
        kind,
        "B/event": size.toFixed(0),
        "events a body": events,
        "nobody joins": of(80, 20, 0),
        "80 clients, 20/s": of(80, 20, 1),
        "80 clients, 100/s": of(80, 100, 1),
        "1000 clients, 20/s": of(1000, 20, 1),
        "1000 clients, 100/s": of(1000, 100, 1),
      };
    }),
  );
  console.table(rows);
}

// ---- Cost -----------------------------------------------------------------------------------------------------------

const BODIES = 20_000;

/** Microseconds of processor for one call: the median of five rounds. */
function microseconds(run: (at: number) => unknown, count = BODIES): string {
  for (let at = 0; at < 2000; at++) run(at);
  const rounds = [1, 2, 3, 4, 5].map(() => {
    const before = process.cpuUsage();
    for (let at = 0; at < count; at++) run(at);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / count;
  });
  return (rounds.sort((a, b) => a - b)[2] ?? 0).toFixed(1);
}

function measureCosts(): void {
  const events = Array.from({ length: 5000 }, (_, at) => eventOf("ticker 128 B", at));
  const event = (at: number) => events[at % events.length] as Buffer;
  const windows = (count: number, kind: DeflaterKind) => {
    const all: Deflater[] = Array.from({ length: count }, () => openDeflater(kind));
    const cost = microseconds((at) => all[at % count]?.compress(event(at)), kind === "state" ? BODIES : 3000);
    for (const deflater of all) deflater.close();
    return cost;
  };
  const own = openDeflater();
  const alone = microseconds((at) => {
    own.restart();
    own.compress(event(at));
  });
  own.close();
  console.table({
    "us a body of one event, 1 window": windows(1, "state"),
    "100 windows in turn": windows(100, "state"),
    "500 windows in turn": windows(500, "state"),
    "1000 windows in turn": windows(1000, "state"),
    "without the state of streams, 1 window": windows(1, "dictionary"),
    own: alone,
    stored: microseconds((at) => storedBlocks(event(at))),
  });
}

// ---- Bursts ---------------------------------------------------------------------------------------------------------

const BURST = 5000;
const PAIRS = 3;

/** Deliveries a second of a burst, and seconds of processor for it. */
async function burst(clients: number, isCompressed: boolean) {
  const [mongrel2, spec] = [await startMongrel2(MONGREL2), `tcp://127.0.0.1:${await freePort()}`];
  const tables = `[log]\nlevel = "warn"\n[stream]\nheartbeat = "0"\ncompression = "${isCompressed ? "public" : "off"}"\n`;
  const daemon = startDaemon({ config: daemonConfig(mongrel2, spec, tables) });
  try {
    for (const { pid } of [mongrel2, daemon]) pin(pid, MEASURED_CORE);
    const events = clients > 5000 ? BURST / 5 : BURST;
    const before = { mongrel2: 0, daemon: 0 };
    const seen = await load(
      {
        ...{ port: mongrel2.port, clients, seconds: 60, quiet: 2, window: 100, raw: true, sources: 2 },
        ...(isCompressed && { header: "Accept-Encoding: gzip" }),
      },
      () => {
        before.mongrel2 = cpuSeconds(mongrel2.pid);
        before.daemon = cpuSeconds(daemon.pid);
        return publish(spec, { burst: events, bytes: 128 });
      },
    );
    return {
      alive: seen.alive,
      megabytes: seen.events / 1e6,
      rate: (clients * events) / seen.active_s,
      mongrel2: cpuSeconds(mongrel2.pid) - before.mongrel2,
      daemon: cpuSeconds(daemon.pid) - before.daemon,
    };
  } finally {
    await daemon.stop();
    await mongrel2.stop();
  }
}

async function measureBursts(): Promise<void> {
  const rows: unknown[] = [];
  for (const clients of [1000, 10_000]) {
    for (let pair = 0; pair < PAIRS; pair++) {
      for (const isCompressed of pair % 2 === 0 ? [false, true] : [true, false]) {
        const { alive, megabytes, rate, mongrel2, daemon } = await burst(clients, isCompressed);
        rows.push({
          ...{ clients, streams: isCompressed ? "compressed" : "plain", alive },
          "MB received": megabytes.toFixed(1),
          "M deliveries/s": (rate / 1e6).toFixed(2),
          "s of processor, Mongrel2": mongrel2.toFixed(2),
          "s of processor, m2push": daemon.toFixed(2),
        });
      }
    }
  }
  console.table(rows);
}

const parts = process.argv.slice(2);
const isWanted = (part: string) => parts.length === 0 || parts.includes(part);
if (isWanted("ratio")) measureRatios();
if (isWanted("cost")) measureCosts();
if (isWanted("burst")) await measureBursts();
