/**
 * A daemon that is stopped under load and started again loses no request: each one that Mongrel2 has handed over, or hands over
 * later, is answered. (Once 15 of 16 publishers with kept connections, and one in 130 browsers that had loaded the page on the same
 * connection, waited for ever after each stop.)
 */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Changes } from "../support/deadline.js";
import { type Pair, startPair } from "../support/pair.js";
import { RawConnection } from "../support/sse-client.js";

const STOPS = 3;
/** Answers to each kind of client between two stops. */
const ANSWERS = 60;
/** Who waits longer for an answer hangs; milliseconds. */
const HANGS_AFTER_MS = 15_000;
const HOST = "Host: localhost\r\n";
const PAGE = `GET / HTTP/1.1\r\n${HOST}\r\n`;
const STREAM = `GET /esupdates HTTP/1.1\r\n${HOST}Accept: text/event-stream\r\n\r\n`;
const FORM = "topic=t&data=x";
const POST =
  `POST /.well-known/mercure HTTP/1.1\r\n${HOST}Content-Type: application/x-www-form-urlencoded\r\n` +
  `Content-Length: ${FORM.length}\r\n\r\n${FORM}`;
const OPTIONS = `OPTIONS /.well-known/mercure HTTP/1.1\r\n${HOST}\r\n`;

interface Round {
  readonly what: string;
  /** Requests by the steps in which they are sent: all of a step at once, the next step when all of it is answered. */
  readonly steps: readonly (readonly string[])[];
  /** The connection is used for the next round. */
  readonly persists: boolean;
}

const ROUNDS: readonly Round[] = [
  { what: "publisher with a kept connection", steps: [[POST]], persists: true },
  { what: "publisher that pipelines", steps: [[POST, OPTIONS, POST]], persists: true },
  { what: "browser that loads the page, then streams", steps: [[PAGE], [STREAM]], persists: false },
  { what: "browser", steps: [[STREAM]], persists: false },
];

/** Clients that ask again as soon as they are answered. */
class Load {
  readonly answers = new Map<string, number>();
  readonly statuses = new Set<string>();
  readonly #changes = new Changes();
  readonly #port: number;
  #isOver = false;

  constructor(port: number) {
    this.#port = port;
  }

  /** Resolves when every kind of client has received this number of further responses. */
  async more(answers: number): Promise<void> {
    const goals = ROUNDS.map(({ what }) => [what, (this.answers.get(what) ?? 0) + answers] as const);
    const isThere = () => goals.every(([what, goal]) => (this.answers.get(what) ?? 0) >= goal);
    await this.#changes.until(isThere, `${answers} answers to everybody`, 30_000, () => `; ${JSON.stringify(goals)}`);
  }

  end(): void {
    this.#isOver = true;
  }

  /** Rejects when an answer does not come, or a connection is cut. */
  async run(round: Round, t: TestContext): Promise<void> {
    while (!this.#isOver) {
      const connection = new RawConnection(this.#port);
      t.after(() => connection.close());
      do await this.#round(round, connection);
      while (round.persists && !this.#isOver);
      connection.close();
    }
  }

  async #round({ what, steps }: Round, connection: RawConnection): Promise<void> {
    for (const requests of steps) {
      const goal = answersIn(connection).length + requests.length;
      connection.write(requests.join(""));
      const isAnswered = () => answersIn(connection).length >= goal || connection.isClosed;
      await connection.until(isAnswered, `an answer to a ${what}`, HANGS_AFTER_MS);
      assert.ok(answersIn(connection).length >= goal, `a ${what} was cut`);
      for (const status of answersIn(connection)) this.statuses.add(status);
    }
    this.answers.set(what, (this.answers.get(what) ?? 0) + 1);
    this.#changes.tell();
  }
}

const answersIn = ({ text }: RawConnection): string[] => text.match(/HTTP\/1\.1 \d+/g) ?? [];

async function underLoad(t: TestContext, stop: (pair: Pair) => Promise<void>) {
  const pair = await startPair(t, {
    settings: { "limits.tick_timer": 1 },
    config: { auth: { allow_publish_from: ["127.0.0.1"] } },
    html: { "index.html": "<!doctype html><title>t</title>" },
  });
  const load = new Load(pair.mongrel2.port);
  const clients = ROUNDS.flatMap((round) => Array.from({ length: 8 }, () => load.run(round, t)));
  const all = Promise.all(clients);
  const stops = async () => {
    for (let stopped = 0; stopped < STOPS; stopped++) {
      await load.more(ANSWERS);
      await stop(pair);
    }
    await load.more(ANSWERS);
    load.end();
  };
  await Promise.all([stops(), all]);
  return { pair, load };
}

describe("A stop under load", () => {
  test("SIGTERM and a new daemon: nobody hangs, nobody is cut, nobody is refused", async (t) => {
    const { load } = await underLoad(t, async (pair) => {
      const { daemon } = pair;
      assert.equal(await daemon.stop("SIGTERM"), 0);
      assert.deepEqual(
        daemon.log.filter(({ event }) => event === "server_stopped").map(({ level }) => level),
        ["info"],
      );
      await pair.restart();
    });
    assert.deepEqual([...load.statuses].sort(), ["HTTP/1.1 200", "HTTP/1.1 204"]);
  });

  test("takeovers: nobody hangs, nobody is cut, nobody is refused", async (t) => {
    const { load } = await underLoad(t, (pair) => pair.takeOver());
    assert.deepEqual([...load.statuses].sort(), ["HTTP/1.1 200", "HTTP/1.1 204"]);
  });
});
