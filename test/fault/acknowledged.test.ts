/** Acknowledged ZeroMQ publications while the daemon is killed again and again: what was acknowledged is never missing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Request } from "zeromq";
import { M2pushError } from "../../src/errors.js";
import { decodeReply } from "../../src/protocol/publish-reply.js";
import { systemClock } from "../../src/util/clock.js";
import { RequestSession } from "../../src/zmq/request-session.js";
import { Changes } from "../support/deadline.js";
import { startPair } from "../support/pair.js";

const KILLS = Number(process.env.KILLS ?? 3);
const ACKNOWLEDGED_BETWEEN_KILLS = 100;
/** Four publishers with one event each in this time: 100 a second. */
const INTERVAL_MS = 40;
const TIMEOUT_MS = 1000;

/** A way to publish one event; resolves with its ids, undefined = no reply. */
interface Way {
  readonly name: string;
  ask(data: string): Promise<readonly string[] | undefined>;
  close(): unknown;
}

function byRequestSocket(spec: string, name: string): Way {
  const options = { relaxed: true, correlate: true, sendTimeout: TIMEOUT_MS, receiveTimeout: TIMEOUT_MS, linger: 0 };
  const socket = new Request(options);
  socket.connect(spec);
  const ask = async (data: string) => {
    try {
      await socket.send(["test", data]);
      const [reply] = await socket.receive();
      return decodeReply(reply ?? Buffer.alloc(0));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      return undefined;
    }
  };
  return { name, ask, close: () => socket.close() };
}

async function byDealerSocket(spec: string, name: string): Promise<Way> {
  const session = new RequestSession(spec, systemClock, { connected() {}, ended() {}, replied() {} });
  await session.start();
  const ask = async (data: string) => {
    try {
      const { answer } = await session.request([Buffer.from("test"), Buffer.from(data)], TIMEOUT_MS);
      return decodeReply(answer);
    } catch (error) {
      if (!(error instanceof M2pushError) || error.code !== "unavailable") throw error;
      return undefined;
    }
  };
  return { name, ask, close: () => session.close() };
}

describe("Acknowledged publications, under kills of the daemon", () => {
  test("every event that a REQ or DEALER socket was told to be published reaches the subscriber, in the order of its publisher", async (t) => {
    const pair = await startPair(t);
    const stream = await pair.stream({}, "/esupdates?topic=test");
    const changes = new Changes();
    const acknowledged: string[] = [];
    const ids = new Set<string>();
    let isOver = false;
    const publish = async ({ name, ask, close }: Way) => {
      for (let count = 0; !isOver; count++) {
        const data = `${name}.${count}`;
        let reply: readonly string[] | undefined;
        do reply = await ask(data);
        while (!reply);
        for (const id of reply) ids.add(id);
        acknowledged.push(data);
        changes.tell();
        await pause(INTERVAL_MS);
      }
      await close();
    };
    const { publishSpec: spec } = pair;
    const dealers = await Promise.all([byDealerSocket(spec, "dealer 1"), byDealerSocket(spec, "dealer 2")]);
    const ways = [byRequestSocket(spec, "request 1"), byRequestSocket(spec, "request 2"), ...dealers];
    const publishing = Promise.all(ways.map(publish));
    // A Mongrel2 that has just started cannot prove that it is the same one.
    await pair.aged(4);
    for (let kill = 1; kill <= KILLS; kill++) {
      const enough = kill * ACKNOWLEDGED_BETWEEN_KILLS;
      await changes.until(() => acknowledged.length >= enough, `${enough} acknowledgements`);
      await pair.daemon.kill9();
      await pair.restart();
    }
    isOver = true;
    await publishing;
    await pair.publisher.publish("last");
    await stream.until(({ events }) => events.some(({ data }) => data === "last"), "the last event");
    assert.equal(ids.size, acknowledged.length);
    const received = new Map<string, number>();
    for (const [index, { data }] of stream.events.entries()) if (!received.has(data)) received.set(data, index);
    assert.deepEqual(
      acknowledged.filter((data) => !received.has(data)),
      [],
      "acknowledged and not received",
    );
    for (const { name } of ways) {
      const places = acknowledged.filter((data) => data.startsWith(`${name}.`)).map((data) => received.get(data) ?? -1);
      assert.deepEqual(
        places,
        places.toSorted((one, other) => one - other),
        name,
      );
    }
    t.diagnostic(`${acknowledged.length} acknowledged, ${stream.events.length} received, ${KILLS} kills`);
  });
});
