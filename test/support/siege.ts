/**
 * A siege: visitors that behave and hear one event after the other, while something hostile goes on through the same Mongrel2,
 * from another address. What is asked afterwards: that each of them heard everything, in order, on its first connection.
 */
import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { type TestContext, test } from "node:test";
import { Browser, crowd } from "./crowd.js";
import { Changes } from "./deadline.js";
import { type Pair, type PairOptions, startPair } from "./pair.js";
import { RawConnection } from "./sse-client.js";

/** Where the hostile come from: so that an address of its own can be counted. */
export const ATTACKER = "127.0.0.66";
/** Those who behave; from 127.0.0.1. */
export const OTHERS = 20;
/** Events before, and after. */
const QUIET = 50;
const WAIT_TIMEOUT_MS = 30_000;

export interface Siege {
  readonly pair: Pair;
  readonly rounds: Rounds;
  /** A connection from the attacker's address, or another one; ends with the test. */
  connect(from?: string): RawConnection;
}

/** Begins a siege in a test of its own. `attack` resolves when it is over, and asserts what the attackers were answered. */
export function besieged(title: string, options: PairOptions, attack: (siege: Siege) => Promise<void>): void {
  test(`${title}: the others hear everything`, async (t) => {
    const pair = await startPair(t, options);
    const browsers = await crowd(pair, OTHERS, (end) => t.after(end));
    const rounds = new Rounds(pair, browsers);
    await rounds.more(QUIET);
    const quiet = rounds.delays();
    await attack({ pair, rounds, connect: connecting(t, pair) });
    await rounds.more(QUIET);
    const during = rounds.delays();
    const last = await rounds.end();
    const everything = Array.from({ length: last }, (_, at) => at + 1);
    for (const { received, gaps, opens } of browsers) {
      assert.deepEqual(received, everything);
      assert.deepEqual([gaps, opens], [[], 1]);
    }
    const late = await new Browser(`${pair.mongrel2.url}/esupdates`).open();
    await late.leave();
    t.diagnostic(`one event to all ${OTHERS}: ${words(quiet)} before, ${words(during)} meanwhile`);
  });
}

function connecting(t: TestContext, { mongrel2 }: Pair) {
  return (from = ATTACKER) => {
    const connection = new RawConnection(mongrel2.port, from);
    t.after(() => connection.close());
    return connection;
  };
}

/** One event to everybody, and the next when all have it. */
class Rounds {
  readonly #pair: Pair;
  readonly #browsers: readonly Browser[];
  readonly #changes = new Changes();
  readonly #running: Promise<void>;
  #delays: number[] = [];
  #number = 0;
  #ends = false;

  constructor(pair: Pair, browsers: readonly Browser[]) {
    this.#pair = pair;
    this.#browsers = browsers;
    this.#running = this.#run();
    // Callers of more() receive the error; see #run.
    this.#running.catch(() => {});
  }

  /** Resolves when `count` more events have reached every client. */
  async more(count: number): Promise<void> {
    const wanted = this.#number + count;
    const reached = this.#changes.until(() => this.#number > wanted, "events", WAIT_TIMEOUT_MS);
    await Promise.race([reached, this.#running]);
  }

  /** How long each event took to reach everybody since this was last asked, milliseconds. */
  delays(): readonly number[] {
    const delays = this.#delays;
    this.#delays = [];
    return delays;
  }

  /** Resolves with the number of the last event, when everybody has it; rejects when somebody missed one. */
  async end(): Promise<number> {
    this.#ends = true;
    await this.#running;
    return this.#number;
  }

  async #run(): Promise<void> {
    while (!this.#ends) {
      const number = ++this.#number;
      const from = performance.now();
      await this.#pair.publisher.publish(`${number}`);
      await Promise.all(this.#browsers.map((it) => it.until(() => it.received.at(-1) === number, `event ${number}`)));
      this.#delays.push(performance.now() - from);
      this.#changes.tell();
    }
  }
}

function words(delays: readonly number[]): string {
  const sorted = [...delays].sort((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms (${sorted.length} events)`;
}
