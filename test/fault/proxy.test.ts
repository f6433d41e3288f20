/** A ZeroMQ proxy between Mongrel2 and a daemon that binds: no connection of the daemon ends when Mongrel2 does. Who gets what? */
import assert from "node:assert/strict";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { encodeCommand } from "../../src/protocol/control-protocol.js";
import { bearer, HUB, oldForAll, SECRET } from "../e2e/mercure.js";
import { askControl } from "../support/control.js";
import { crowd, Feed, verifyReceived } from "../support/crowd.js";
import { type PairOptions, serving, startPair } from "../support/pair.js";
import { restartUnderPrivateEvents } from "../support/private-restart.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";
import { openStream, type SseClient } from "../support/sse-client.js";
import { ZmqProxies } from "../support/zmq-proxy.js";

const CLIENTS = 50;
const ROUNDS = 3;

interface Options extends PairOptions {
  /** What the daemon connects to as the control port; absent = Mongrel2's. */
  readonly control?: string;
}

async function start(t: TestContext, { control, ...options }: Options = {}) {
  const server = async (mongrel2: Parameters<typeof ZmqProxies.before>[0]) => {
    const proxies = await ZmqProxies.before(mongrel2);
    t.after(() => proxies.close());
    const keys = { send_spec: proxies.sendSpec, recv_spec: proxies.recvSpec, bind: true };
    return control === undefined ? keys : { ...keys, control };
  };
  const auth = { allow_publish_from: ["127.0.0.1"], subscriber_key: SECRET };
  return startPair(t, { ...options, server, config: { auth } });
}

/** A stream of one topic, with a token for all. */
async function privateStream(t: TestContext, url: string, topic: string): Promise<SseClient> {
  const stream = await openStream(`${url}${HUB}?topic=${topic}`, bearer(await oldForAll()));
  t.after(() => stream.close());
  await stream.until(({ lastEventId }) => lastEventId !== "", "its first position");
  return stream;
}

async function publish(url: string, topic: string, data: string, isPrivate: boolean): Promise<void> {
  const body = new URLSearchParams({ topic, data, ...(isPrivate && { private: "on" }) });
  const answer = await fetch(`${url}${HUB}`, { method: "POST", body });
  assert.equal(answer.status, 200, await answer.text());
}

describe("Link behind a ZeroMQ proxy", () => {
  test("all clients reconnect and receive every event after repeated kills of Mongrel2", async (t) => {
    const pair = await start(t);
    const browsers = await crowd(pair, CLIENTS, (end) => t.after(end));
    const feed = new Feed(pair);
    for (let round = 0; round < ROUNDS; round++) {
      await feed.more(20);
      const from = pair.daemon.log.length;
      await pair.mongrel2.kill9();
      await pair.mongrel2.start();
      await serving(pair.daemon, from);
      const back = () => browsers.every(({ opens }) => opens === round + 2);
      await Promise.all(browsers.map((browser) => browser.until(back, "everybody to be back")));
    }
    await feed.more(20);
    await verifyReceived(browsers, feed, { duplicates: 0 });
  });

  test("Mongrel2 is killed and the same ids are other people's at once: no private event reaches them", async (t) => {
    const pair = await start(t);
    const { mongrel2, daemon } = pair;
    const names = Array.from({ length: CLIENTS }, (_, index) => `secret-${index}`);
    await Promise.all(names.map((name) => privateStream(t, mongrel2.url, name)));
    const from = daemon.log.length;
    await mongrel2.kill9();
    // Handed to the dying link, or published while there is none: nothing of it may reach who has the ids next.
    for (const name of names) {
      const draft = { topic: name, data: `for ${name}`, private: true };
      void pair.publisher.send([Buffer.from(JSON.stringify(draft))]);
    }
    await mongrel2.start();
    const strangers = await Promise.all(names.map(() => openStream(`${mongrel2.url}/esupdates`, {})));
    t.after(() => Promise.all(strangers.map((stranger) => stranger.close())));
    await serving(daemon, from);
    await publish(mongrel2.url, "public", "the end", false);
    for (const stranger of strangers) {
      await stranger.until(({ events }) => events.some(({ data }) => data === "the end"), "the public event");
      assert.doesNotMatch(stranger.text, /secret/);
    }
  });

  test("no client receives a private event of another one after a kill of Mongrel2 under private events to 500 streams", async (t) => {
    const pair = await start(t);
    const [restart] = await restartUnderPrivateEvents(pair, 500, 1);
    assert.ok(restart && restart.published > 0);
  });

  test("without a control port private events are not served there, and public ones are; the log names the key", async (t) => {
    const { mongrel2, daemon } = await start(t, { noControl: true });
    const told = daemon.log.find(({ event, code }) => event === "condition_began" && code === "private_refused");
    assert.match(`${told?.fix}`, /set control = /);
    const stream = await privateStream(t, mongrel2.url, "t");
    await publish(mongrel2.url, "t", "for few", true);
    await publish(mongrel2.url, "t", "for all", false);
    await stream.until(({ events }) => events.length > 0, "the public event");
    assert.deepEqual(
      stream.events.map(({ data }) => data),
      ["for all"],
    );
  });

  test("streams that got public events only are closed as 'reopened' once the control port answers, and reconnect", async (t) => {
    const dir = temporaryDirectory();
    t.after(() => removeDirectory(dir));
    const late = join(dir, "control");
    const { mongrel2, daemon } = await start(t, { control: `ipc://${late}` });
    const early = await privateStream(t, mongrel2.url, "t");
    const from = daemon.log.length;
    symlinkSync(mongrel2.controlSpec.slice("ipc://".length), late);
    const told = await daemon.logged(({ event }) => event === "disconnect", "the end of the stream", { from });
    assert.equal(told.reason, "reopened");
    await early.closed;
    const stream = await privateStream(t, mongrel2.url, "t");
    await publish(mongrel2.url, "t", "for few", true);
    assert.equal((await stream.next()).data, "for few");
    assert.deepEqual(early.events, []);
  });

  test("after control_stop the streams continue with public events only, and no restart is assumed", async (t) => {
    const { mongrel2, daemon } = await start(t);
    const stream = await privateStream(t, mongrel2.url, "t");
    await publish(mongrel2.url, "t", "before", true);
    await stream.until(({ events }) => events.length === 1, "the private event");
    const from = daemon.log.length;
    await askControl(mongrel2, encodeCommand("control_stop", {})).catch(() => {});
    await serving(daemon, from);
    await daemon.logged(({ event, code }) => event === "condition_began" && code === "private_refused", "the refusal", {
      from,
    });
    const later = await privateStream(t, mongrel2.url, "t");
    await publish(mongrel2.url, "t", "for few", true);
    await publish(mongrel2.url, "t", "for all", false);
    await later.until(({ events }) => events.length > 0, "the public event");
    assert.deepEqual(
      later.events.map(({ data }) => data),
      ["for all"],
    );
  });

  test("without a control port the streams of a killed Mongrel2 are removed as soon as a client reconnects", async (t) => {
    const { mongrel2, daemon } = await start(t, { noControl: true });
    await Promise.all(Array.from({ length: CLIENTS }, (_, index) => privateStream(t, mongrel2.url, `topic-${index}`)));
    const from = daemon.log.length;
    await mongrel2.kill9();
    await mongrel2.start();
    const forgotten = () => daemon.log.slice(from).filter(({ event }) => event === "disconnect").length;
    // Numbers of old streams, which tell nothing by themselves: such a request may be cut, and its browser would come again.
    let isOver = false;
    const connections = (async () => {
      const visit = () => fetch(mongrel2.url + HUB, { method: "OPTIONS", signal: AbortSignal.timeout(500) });
      while (!isOver) await visit().catch(() => {});
    })();
    // The keep-alive sweep would need 45 s.
    await daemon
      .logged(() => forgotten() >= CLIENTS, "all to be forgotten", { from })
      .finally(() => {
        isOver = true;
      });
    await connections;
    const later = await Promise.all(Array.from({ length: CLIENTS }, () => openStream(`${mongrel2.url}/esupdates`, {})));
    t.after(() => Promise.all(later.map((stream) => stream.close())));
    await publish(mongrel2.url, "public", "the end", false);
    for (const stream of later) await stream.until(({ events }) => events.length === 1, "the public event");
  });
});
