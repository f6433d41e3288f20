/** The link between Mongrel2 and the daemon is cut, frozen, shared or proxied: who is served on, and who gets what? */
import assert from "node:assert/strict";
import { Agent } from "node:http";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Pull } from "zeromq";
import { encodeCommand } from "../../src/protocol/control-protocol.js";
import { conditionTexts } from "../../src/util/condition-texts.js";
import { KeptConnection, post, visit } from "../support/churn.js";
import { askControl } from "../support/control.js";
import { type Browser, crowd, Feed, verifyReceived } from "../support/crowd.js";
import { startDaemon } from "../support/daemon.js";
import { type Pair, type PairOptions, serving, startPair } from "../support/pair.js";
import { freePort } from "../support/ports.js";
import { Publisher } from "../support/publisher.js";
import { Relay } from "../support/relay.js";

const CLIENTS = 50;
/** How long Mongrel2 is stopped, milliseconds: the fault itself. */
const FROZEN_MS = 8000;
/** Connections that come and go while others are kept. */
const VISITORS = 4200;

async function start(t: TestContext, options: PairOptions = {}) {
  const admin = await freePort();
  const config = { auth: { allow_publish_from: ["127.0.0.1"] }, admin: { listen: `127.0.0.1:${admin}` } };
  const pair = await startPair(t, { ...options, config: { ...config, ...options.config } });
  const browsers = await crowd(pair, CLIENTS, (end) => t.after(end));
  const readyz = async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).status;
  return { pair, browsers, readyz };
}

/** A pair whose link goes over a network that can be cut. */
async function startRelayed(t: TestContext, options: PairOptions = {}) {
  const relays: Relay[] = [];
  t.after(() => {
    for (const relay of relays) relay.close();
  });
  const server = async ({ sendSpec, recvSpec }: Pair["mongrel2"]) => {
    const [send, recv] = [await Relay.to(sendSpec), await Relay.to(recvSpec)];
    relays.push(send, recv);
    return { send_spec: send.spec, recv_spec: recv.spec };
  };
  const cut = () => {
    for (const relay of relays) relay.cut();
  };
  return { ...(await start(t, { ...options, server })), cut };
}

const opens = (browsers: readonly Browser[]) => browsers.map((it) => it.opens).reduce((sum, count) => sum + count, 0);
const events = ({ daemon }: Pair, event: string) => daemon.log.filter((line) => line.event === event);
const condition =
  (code: string, event = "condition_began") =>
  (line: Readonly<Record<string, unknown>>) =>
    line.event === event && line.code === code;

describe("Link", { concurrency: 2 }, () => {
  test("continues all streams at once after a cut, because the control port proves that Mongrel2 is the same", async (t) => {
    const { pair, browsers, cut } = await startRelayed(t);
    const feed = new Feed(pair);
    for (let loss = 1; loss <= 3; loss++) {
      await feed.more(20);
      const from = pair.daemon.log.length;
      cut();
      await serving(pair.daemon, from);
      const told = await pair.daemon.logged(({ event }) => event === "adoption_completed", "the adoption", { from });
      assert.deepEqual([told.adopted, told.cancelled], [CLIENTS, 0]);
      const [lost] = events(pair, "link_lost").slice(-1);
      const took = Date.parse(`${told.time}`) - Date.parse(`${lost?.time}`);
      assert.ok(took < 3000, `it took ${took} ms: nobody waits for the proof of an unknown Mongrel2 (12 s)`);
    }
    // What was under way when the link was cut may come twice.
    await verifyReceived(browsers, feed, { duplicates: 90 });
    assert.equal(opens(browsers), CLIENTS);
  });

  test("closes all streams after a cut without a control port, and their clients reconnect", async (t) => {
    const { pair, browsers, cut } = await startRelayed(t, { noControl: true });
    const feed = new Feed(pair);
    await feed.more(20);
    cut();
    await Promise.all(browsers.map((browser) => browser.until(() => browser.opens === 2, "its second stream")));
    await feed.more(20);
    await verifyReceived(browsers, feed, { duplicates: 0 });
  });

  test("reports a suspended Mongrel2 without any traffic as not ready, and its end", async (t) => {
    const { pair, browsers, readyz } = await start(t);
    assert.equal(await readyz(), 200);
    pair.mongrel2.suspend();
    const began = await pair.daemon.logged(condition("mongrel2_silent"), "silence", { ms: FROZEN_MS });
    assert.equal(began.msg, conditionTexts.silent().message);
    assert.equal(await readyz(), 503);
    pair.mongrel2.resume();
    await pair.daemon.logged(condition("mongrel2_silent", "condition_ended"), "the end of silence");
    assert.equal(await readyz(), 200);
    assert.deepEqual(events(pair, "link_lost"), []);
    assert.equal(opens(browsers), CLIENTS);
  });

  test("reconnects after link_timeout, and no client loses its stream", async (t) => {
    const { pair, browsers } = await start(t, { server: async () => ({ link_timeout: "5s" }) });
    const from = pair.daemon.log.length;
    pair.mongrel2.suspend();
    await pair.daemon.logged(({ event }) => event === "link_lost", "the link to be given up", { from });
    await pause(1000);
    pair.mongrel2.resume();
    await serving(pair.daemon, from);
    const told = await pair.daemon.logged(({ event }) => event === "adoption_completed", "the adoption", { from });
    assert.deepEqual([told.adopted, told.cancelled], [CLIENTS, 0]);
    const feed = new Feed(pair);
    await feed.more(20);
    await verifyReceived(browsers, feed, { duplicates: 0 });
    assert.equal(opens(browsers), CLIENTS);
  });

  test("reports after control_stop that the next restart would close the streams, and closes none", async (t) => {
    const { pair, browsers, readyz } = await start(t);
    const feed = new Feed(pair);
    await feed.more(20);
    await askControl(pair.mongrel2, encodeCommand("control_stop", {})).catch(() => {});
    await pair.daemon.logged(condition("control_unreachable"), "the warning", { ms: 20_000 });
    assert.equal(await readyz(), 200);
    assert.deepEqual(events(pair, "link_lost"), []);
    await verifyReceived(browsers, feed, { duplicates: 0 });
    assert.equal(opens(browsers), CLIENTS);
  });

  for (const noControl of [false, true]) {
    test(`takes requests on connections that ${VISITORS} others followed for no restart ${noControl ? "without" : "with"} a control port`, async (t) => {
      const { pair, browsers } = await start(t, { noControl });
      const { port } = pair.mongrel2;
      const kept = new Agent({ keepAlive: true, maxSockets: 1 });
      const asking = await KeptConnection.open(port);
      const streaming = await KeptConnection.open(port);
      t.after(() => [kept.destroy(), asking.close(), streaming.close()]);
      assert.equal(await post(port, kept, "1"), 200);
      for (const raw of [asking, streaming]) await raw.ask();
      await visit(port, VISITORS);
      // Two old connections in turns, several requests in one write, and a stream on a connection that has had a page.
      for (let number = 2; number <= 11; number++) {
        assert.equal(await post(port, kept, `${number}`), 200);
        await asking.ask();
      }
      await asking.ask(5);
      await streaming.stream("/esupdates");
      assert.equal(await post(port, kept, "12"), 200);
      await streaming.has("data: 12\n");
      const numbers = Array.from({ length: 12 }, (_, index) => index + 1);
      for (const browser of browsers) {
        await browser.until(() => browser.received.includes(12), "the last event");
        assert.deepEqual(browser.received, numbers);
      }
      assert.deepEqual(events(pair, "link_lost"), []);
      assert.equal(opens(browsers), CLIENTS);
    });
  }

  test("a second daemon that is started by mistake yields, and the first one adopts its streams", async (t) => {
    const { pair, browsers, readyz } = await start(t);
    const { mongrel2 } = pair;
    const publishSpec = `tcp://127.0.0.1:${await freePort()}`;
    const config = `[[mongrel2]]\nsend_spec = "${mongrel2.sendSpec}"\nrecv_spec = "${mongrel2.recvSpec}"
send_ident = "${mongrel2.sendIdent}"\n[publish]\nzmq = "${publishSpec}"\n[admin]\nlisten = ""\n[history]\npath = "data"
[stream]\nretry = "100ms"\n[beacon]\ninterval = "0"\n`;
    const second = startDaemon({ config });
    t.after(() => second.stop());
    await serving(second);
    const late = await crowd(pair, CLIENTS, (end) => t.after(end));
    const told = await second.logged(condition("second_daemon"), "that it sees the first", { ms: 20_000 });
    assert.equal(told.msg, conditionTexts.secondDaemonLeaves().message);
    const all = [...browsers, ...late];
    await pair.daemon.logged(({ clients }) => clients === all.length, "all streams", { ms: 20_000 });
    const feed = new Feed(pair);
    await feed.more(20);
    const last = await feed.end();
    await Promise.all(all.map((browser) => browser.until(() => browser.received.includes(last), "the last event")));
    assert.equal(opens(browsers), CLIENTS, "nobody of the first one's was cut");
    await second.logged(({ event }) => event === "ingress_closed", "its socket for publishers to be closed");
    await keepsItsEvents(t, publishSpec);
    if ((await readyz()) === 503)
      await pair.daemon.logged(condition("second_daemon", "condition_ended"), "its end", { ms: 20_000 });
    assert.equal(await readyz(), 200);
  });

  test("two daemons with --shared both stay", async (t) => {
    const { pair } = await start(t, { server: async () => ({ shared: true }) });
    const { mongrel2 } = pair;
    const config = `[[mongrel2]]\nsend_spec = "${mongrel2.sendSpec}"\nrecv_spec = "${mongrel2.recvSpec}"
send_ident = "${mongrel2.sendIdent}"\n[publish]\nzmq = ""\n[admin]\nlisten = ""\n[history]\npath = "data"\n`;
    const second = startDaemon({ config, command: ["serve", "--shared"] });
    t.after(() => second.stop());
    await serving(second);
    // As long as it takes to prove one by its notices, twice.
    await pause(10_000);
    for (const { log } of [pair.daemon, second]) assert.deepEqual(log.filter(condition("second_daemon")), []);
  });
});

/** Messages to an address that was released stay with the publisher until the address is bound again. */
async function keepsItsEvents(t: TestContext, spec: string): Promise<void> {
  const publisher = new Publisher(spec);
  t.after(() => publisher.close());
  await publisher.publish("kept");
  const next = new Pull({ linger: 0 });
  t.after(() => next.close());
  await next.bind(spec);
  assert.equal(`${(await next.receive())[1]}`, "kept");
}
