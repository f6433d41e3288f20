/**
 * One Mongrel2 and all that belongs to it, on real sockets, with a Mongrel2 that keeps its limits as strictly as the real one
 * at its worst (test/support/fake-mongrel2): what the hub wants must never cost a connection, and nobody gets what he did not ask for.
 */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { LocalBus } from "../../src/cluster/local-bus.js";
import { App, hubUrl } from "../../src/http/app.js";
import { Presence } from "../../src/http/mercure/presence.js";
import { Router } from "../../src/http/router.js";
import type { Observe } from "../../src/hub/events.js";
import { Hub } from "../../src/hub/hub.js";
import { type ServedMongrel2, serveMongrel2 } from "../../src/mongrel2/serve-mongrel2.js";
import { LogObserver } from "../../src/observability/log/log-observer.js";
import { parsePublication } from "../../src/protocol/publication.js";
import { Publisher } from "../../src/publishing/publisher.js";
import { Remover } from "../../src/publishing/remover.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { systemClock } from "../../src/util/clock.js";
import { Conditions } from "../../src/util/conditions.js";
import { load } from "../config/harness.js";
import { Changes } from "../support/deadline.js";
import type { FakeClient } from "../support/fake-client.js";
import { FakeMongrel2, type FakeOptions } from "../support/fake-mongrel2.js";
import { MapStore } from "../support/hub.js";
import { recordedLog } from "../support/log.js";

async function setUp(t: TestContext, options: FakeOptions = {}, stream = "") {
  const fake = await FakeMongrel2.start(options);
  const { config } = load(`[[mongrel2]]
send_spec = "${fake.sendSpec}"
recv_spec = "${fake.recvSpec}"
send_ident = "${fake.sendIdent}"
[stream]
heartbeat = "0"
${stream}`);
  const clock = systemClock;
  const history = new MemoryHistory({ maxEvents: 10_000, maxAge: 1e12, maxBytes: 1e9 }, clock);
  const { log, lines } = recordedLog();
  const changes = new Changes();
  const logged = new LogObserver(log, clock).observe;
  const observe: Observe = (event) => {
    logged(event);
    if (event.type === "linkLive") changes.tell();
  };
  const conditions = new Conditions(clock, observe);
  const base = hubUrl(config);
  const presence = new Presence({ path: config.hub.path, base, head: () => history.last });
  const bus = new LocalBus(history, clock);
  const store = new MapStore();
  const hub = new Hub({
    bus,
    history,
    clients: store,
    observe,
    presenceListener: presence,
    clock,
    base,
    random: () => 0.5,
  });
  await hub.start();
  const site = new App(config, {
    hub,
    history,
    presence,
    clock,
    publisher: new Publisher({ hub, keys: history, repeated: () => {} }),
    remover: new Remover({ hub, history }),
    warn: () => {},
  });
  const requestHandler = new Router({
    hub,
    routes: site.routes,
    requestCompleted: (name, route, status, reason) =>
      observe({ type: "requestCompleted", server: name, route, status, reason }),
    commonHeaders: () => ({}),
  });
  const [server] = config.mongrel2;
  assert.ok(server);
  const served: ServedMongrel2 = await serveMongrel2(server, {
    hub,
    store,
    requestHandler,
    observe,
    clock,
    conditions,
    times: config.stream,
    zmq: config.zmq,
    retryMs: () => config.stream.retry,
  });
  t.after(async () => {
    hub.handOver();
    await served.stop();
    await fake.stop();
  });
  const count = () => lines.filter(({ event }) => event === "link_live").length;
  return {
    fake,
    hub,
    lines,
    served,
    /** Resolves when Mongrel2 has answered for the nth time. */
    live: (times = 1) => changes.until(() => count() >= times, "Mongrel2 to answer"),
    publish: (data: string) => void hub.publish({ topics: ["t"], data, private: false }),
  };
}

const dataOf = (client: FakeClient) =>
  [...client.text.replace(/^event: m2push-open\nid: .*\ndata: \{\}\n/gm, "").matchAll(/^data: (.*)$/gm)].map(
    ([, data]) => data,
  );
const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1}`);

async function streams(fake: FakeMongrel2, count: number): Promise<FakeClient[]> {
  const clients = Array.from({ length: count }, () => fake.connect());
  for (const client of clients) await client.received("\nid: ");
  return clients;
}

/** Nothing was sent that Mongrel2 would not have taken, and nobody was killed for it. */
function assertWellBehaved({ counters, maxPendingEver }: FakeMongrel2): void {
  const { malformed, oversized, swallowed, killed, crashes, lostCloses } = counters;
  assert.deepEqual(
    { malformed, oversized, swallowed, killed, crashes, lostCloses },
    { malformed: 0, oversized: 0, swallowed: 0, killed: 0, crashes: 0, lostCloses: 0 },
  );
  assert.ok(maxPendingEver <= 16, `${maxPendingEver} messages waited for one connection`);
}

describe("serveMongrel2", () => {
  for (const [what, options] of [
    ["JSON headers", {}],
    ["tnetstring headers", { protocol: "tnetstring" }],
    ["writers that run only after a pause", { yieldAfterMs: 0.5 }],
    ["flow control", { flowControl: true }],
    ["a send_ident that is the beginning of another", { sendIdent: "m2push", recvIdent: "m2push " }],
  ] as const) {
    test(`a burst of 1000 events reaches 300 clients in order, and costs nobody the connection: ${what}`, async (t) => {
      const { fake, live, publish } = await setUp(t, options);
      await live();
      const clients = await streams(fake, 300);
      for (const data of numbers(1000)) publish(data);
      for (const client of clients) await client.received("\ndata: 1000\n");
      for (const client of clients) assert.deepEqual(dataOf(client), numbers(1000));
      assertWellBehaved(fake);
    });
  }

  test("requests from before the daemon started, or before Mongrel2 answered, are served once it answers", async (t) => {
    const { fake, live, publish } = await setUp(t);
    const early = Array.from({ length: 20 }, () => fake.connect());
    await live();
    for (const client of early) await client.received("\nid: ");
    publish("x");
    for (const client of early) await client.received("\ndata: x\n");
  });

  test("after a restart of Mongrel2 its new connections get nothing that they did not ask for", async (t) => {
    const { fake, hub, live, publish, lines } = await setUp(t);
    await live();
    await streams(fake, 50);
    for (const data of numbers(500)) publish(data);
    await fake.restart();
    await live(2);
    assert.equal(hub.clients, 0);
    const [silent, asking, elsewhere] = [
      fake.connect({ method: "BREW" }),
      fake.connect(),
      fake.connect({ path: "/x" }),
    ];
    await asking.received("\nid: ");
    for (const data of numbers(500)) publish(`new ${data}`);
    await asking.received("\ndata: new 500\n");
    assert.deepEqual(
      dataOf(asking),
      numbers(500).map((data) => `new ${data}`),
    );
    for (const other of [silent, elsewhere]) {
      assert.equal(await other.over(), "closed");
      assert.match(other.text, /^HTTP\/1\.1 40[45] /);
      assert.doesNotMatch(other.text, /data:/);
    }
    const reasons = lines.filter(({ event }) => event === "disconnect").map(({ reason }) => reason);
    assert.deepEqual(
      reasons,
      numbers(50).map(() => "server lost"),
    );
    assertWellBehaved(fake);
  });

  test("the sweep finds who died without a word, and keeps the others alive", async (t) => {
    const { fake, hub, live, lines } = await setUp(t, {}, 'keepalive = "1s"');
    await live();
    const [dead, alive] = await streams(fake, 2);
    dead?.end("lost");
    await fake.until(() => hub.clients === 1 && (alive?.keepAlives ?? 0) > 1, "the sweep");
    const told = lines.find(({ event }) => event === "disconnect");
    assert.deepEqual([told?.client, told?.reason, told?.clients], [dead?.id, "found dead", 1]);
  });

  test("a client that does not read loses its connection at most, and nobody else notices", async (t) => {
    const { fake, live, publish } = await setUp(t);
    await live();
    const [stuck, ...others] = await streams(fake, 10);
    stuck?.pause();
    for (const data of numbers(200)) {
      publish(data);
      await others[0]?.received(`\ndata: ${data}\n`);
    }
    for (const client of others) {
      await client.received("\ndata: 200\n");
      assert.deepEqual(dataOf(client), numbers(200));
    }
    assert.equal(stuck?.ending, "killed");
    assert.equal(fake.counters.killed, 1);
  });

  test("an event of more than 100 kB is refused in words, and what comes after it is sent", async (t) => {
    const { fake, hub, live, publish } = await setUp(t, { flowControl: true });
    await live();
    const [client] = await streams(fake, 1);
    assert.throws(() => parsePublication([Buffer.from("t"), Buffer.alloc(100_001, "x")]), { code: "too_large" });
    const largest = parsePublication([Buffer.from("t"), Buffer.alloc(99_900, "x")]);
    await hub.publish(largest);
    publish("after");
    await client?.received("\ndata: after\n");
    assertWellBehaved(fake);
  });

  test("when it stops it has told Mongrel2 everything, and lets go of its sockets", async (t) => {
    const { fake, served, live, publish, hub } = await setUp(t);
    await live();
    const [client] = await streams(fake, 1);
    for (const data of numbers(300)) publish(data);
    hub.seal();
    await hub.delivered();
    await served.link.stopReceiving();
    assert.equal(await served.stop(), true);
    await client?.received("\ndata: 300\n");
    assert.equal(client?.ending, undefined);
  });
});
