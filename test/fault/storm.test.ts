/** Ten thousand browsers come back at once, as after a restart of Mongrel2. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { describe, test } from "node:test";
import { Changes } from "../support/deadline.js";
import { serving, startPair } from "../support/pair.js";

const BROWSERS = 10_000;
const EVENTS = 10;
const WAIT_TIMEOUT_MS = 60_000;
/** Requests that Mongrel2 and its PUSH socket hold at most, see docs/architecture/mongrel2.md. */
const MAX_QUEUED_REQUESTS = 3560;
/** Room for all of them in Mongrel2, and for each in the set that it polls. */
const SETTINGS = { "superpoll.max_fd": 16_384, "superpoll.hot_dividend": 2, "limits.tick_timer": 1 };

/** As many connect at a time, the next when one is answered: Mongrel2's listening socket drops what comes beyond. */
class Gate {
  readonly #waiting: (() => void)[] = [];
  #free = 500;

  enter(go: () => void): void {
    if (this.#free === 0) this.#waiting.push(go);
    else {
      this.#free--;
      go();
    }
  }

  leave(): void {
    this.#free++;
    const next = this.#waiting.shift();
    if (next) this.enter(next);
  }
}

/** Of all together: looking at each of them whenever one has something new would take minutes. */
interface Totals {
  positions: number;
  events: number;
  readonly gate: Gate;
  readonly changes: Changes;
}

/** As little as ten thousand of need: it connects again as soon as it is cut off, with its last id. */
class Browser {
  readonly received: number[] = [];
  /** Status lines of the answers. */
  readonly answers: string[] = [];
  gaps = 0;
  readonly #port: number;
  readonly #totals: Totals;
  #socket: Socket | undefined;
  #lastEventId = "";
  #isOver = false;
  #rest = "";

  constructor(port: number, totals: Totals) {
    this.#port = port;
    this.#totals = totals;
    totals.gate.enter(() => this.#connect());
  }

  leave(): void {
    this.#isOver = true;
    this.#socket?.destroy();
  }

  #connect(): void {
    const { gate } = this.#totals;
    const last = this.#lastEventId ? `Last-Event-ID: ${this.#lastEventId}\r\n` : "";
    const ask = `GET /esupdates HTTP/1.1\r\nHost: localhost\r\n${last}\r\n`;
    const socket = connect(this.#port, "127.0.0.1", () => socket.write(ask));
    this.#socket = socket;
    this.#rest = "";
    let isWaiting = true;
    const through = () => {
      if (isWaiting) gate.leave();
      isWaiting = false;
    };
    socket.setEncoding("latin1").on("data", (text) => this.#take(String(text)));
    socket.once("data", through).on("error", () => {}); // it closes
    socket.once("close", () => {
      through();
      if (!this.#isOver) gate.enter(() => this.#connect());
    });
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
    this.#totals.changes.tell();
  }

  #line(line: string): void {
    if (line.startsWith("id: ")) {
      if (this.#lastEventId === "") this.#totals.positions++;
      this.#lastEventId = line.slice(4);
    } else if (line.startsWith("data: ") && line !== "data: {}") {
      this.received.push(Number(line.slice(6)));
      this.#totals.events++;
    } else if (line.startsWith("HTTP/")) this.answers.push(line.trimEnd());
    else if (line.startsWith("event: m2push-gap")) this.gaps++;
  }
}

describe("Storm, under faults", () => {
  test("serves 10,000 browsers that reconnect at once, in the order of their requests, and loses no event", async (t) => {
    const pair = await startPair(t, { settings: SETTINGS, config: { beacon: { interval: "0" } } });
    const totals: Totals = { positions: 0, events: 0, gate: new Gate(), changes: new Changes() };
    const browsers = Array.from({ length: BROWSERS }, () => new Browser(pair.mongrel2.port, totals));
    t.after(() => {
      for (const browser of browsers) browser.leave();
    });
    const until = (look: () => boolean, what: string) =>
      totals.changes.until(
        look,
        what,
        WAIT_TIMEOUT_MS,
        () => `: ${totals.positions} positions, ${totals.events} events`,
      );
    await until(() => totals.positions === BROWSERS, "a first position for each");
    const publish = async (from: number) => {
      for (let number = from; number < from + EVENTS; number++) await pair.publisher.publish(`${number}`);
    };
    await publish(1);
    await until(() => totals.events === EVENTS * BROWSERS, "the first events");

    const before = pair.daemon.log.length;
    await pair.mongrel2.kill9();
    await publish(EVENTS + 1);
    await pair.mongrel2.start();
    await serving(pair.daemon, before);
    await publish(2 * EVENTS + 1);
    await until(() => totals.events >= 3 * EVENTS * BROWSERS, "all events at each");

    const numbers = Array.from({ length: 3 * EVENTS }, (_, at) => at + 1);
    for (const { received, answers, gaps } of browsers) {
      assert.deepEqual([received, gaps], [numbers, 0]);
      assert.deepEqual(answers, ["HTTP/1.1 200 OK", "HTTP/1.1 200 OK"]);
    }
    // Mongrel2 numbers connections as it hands them over, but shuffles those that wait while no daemon is connected.
    const came = pair.daemon.log.slice(before).filter(({ event }) => event === "connect");
    const ids = came.slice(MAX_QUEUED_REQUESTS).map(({ client }) => Number(client));
    assert.ok(ids.length > BROWSERS / 2);
    assert.deepEqual(
      ids,
      [...ids].sort((a, b) => a - b),
    );
  });
});
