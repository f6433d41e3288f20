/** How an endpoint stops taking requests: what it sends, what it waits for, and what it must not send any more. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LinkEvents } from "../../src/mongrel2/link-events.js";
import { Mongrel2Link } from "../../src/mongrel2/mongrel2-link.js";
import { decodeReply } from "../../src/protocol/reply.js";
import type { Draining, Transport } from "../../src/zmq/transport.js";
import { FakeClock } from "../support/clock.js";
import { disconnectNotice, requestMessage } from "../support/mongrel2-messages.js";

const IDENT = "m2push-test";
const turn = () => new Promise(setImmediate);
const notice = (id: number) => disconnectNotice("json", IDENT, id);
const request = (id: number) => requestMessage("json", IDENT, id);

async function setUp({ maxTargets = 128, isLive = true } = {}) {
  const clock = new FakeClock();
  const told: string[] = [];
  const sent: { ids: number[]; extended: boolean; body: string }[] = [];
  const drains: Draining[] = [];
  let drained: (isDrained: boolean) => void = () => {};
  const transport: Transport = {
    async start() {},
    send: (head, body) => void sent.push(decodeReply(Buffer.concat([head, body])) as never),
    stopReceiving: (draining) => {
      drains.push(draining);
      return new Promise((resolve) => {
        drained = resolve;
      });
    },
    ping: () => false,
    reconnect: () => {},
    close: async () => true,
  };
  const events: LinkEvents = {
    live: () => told.push("live"),
    lost: () => told.push("lost"),
    inbound: (message) => told.push(`${message.kind} ${message.id}`),
    malformed: () => {},
    silent: () => told.push("silent"),
    answering: () => {},
    foreignFence: () => {},
    wrongIdent: () => {},
    fencePassed: () => {},
    fromEarlierInstance: () => {},
  };
  const times = { clock, linkTimeoutMs: 0, random: () => 0.5 };
  const endpoint = new Mongrel2Link({ sendIdent: IDENT, maxTargets, transport, ...times, events });
  await endpoint.start();
  endpoint.connected("in");
  endpoint.connected("out");
  const lastFence = () => sent.findLast(({ ids }) => (ids[0] ?? 0) > 2_000_000_000)?.ids[0] ?? 0;
  const goLive = () => endpoint.message(notice(lastFence()));
  if (isLive) goLive();
  sent.length = 0;
  return { endpoint, clock, told, sent, drains, lastFence, goLive, drained: (is: boolean) => drained(is) };
}

describe("Mongrel2Link.stopReceiving", () => {
  for (const maxTargets of [128, 64, 1024]) {
    test(`sends a fence and then cancels of connection 0 only, ${maxTargets} ids a frame at most`, async () => {
      const { endpoint, sent, drains, lastFence } = await setUp({ maxTargets });
      void endpoint.stopReceiving();
      await turn();
      const [fence, ...burst] = sent;
      assert.deepEqual(fence?.ids, [lastFence()]);
      assert.deepEqual(new Set(burst.flatMap(({ ids }) => ids)), new Set([0]));
      assert.ok(burst.every(({ extended, body }) => extended && String(body).includes("cancel")));
      assert.equal(burst.flatMap(({ ids }) => ids).length, 51_200);
      assert.equal(Math.max(...burst.map(({ ids }) => ids.length)), Math.min(128, maxTargets));
      assert.equal(drains[0]?.mark.toString(), ` ${lastFence()} @* `);
      assert.deepEqual([drains[0]?.markTimeoutMs, drains[0]?.endTimeoutMs], [2000, 1000]);
    });
  }

  test("serves what still comes in, and has lost nothing when the fence's notice came and all was read", async () => {
    const { endpoint, told, lastFence, drained } = await setUp();
    const left = endpoint.stopReceiving();
    await turn();
    endpoint.message(request(7));
    endpoint.message(notice(lastFence()));
    endpoint.message(request(8));
    endpoint.disconnected("in");
    drained(true);
    assert.equal(await left, true);
    assert.deepEqual(told, ["live", "http 7", "http 8"]);
    assert.equal(await endpoint.stop(), true);
  });

  test("promises nothing when the notice was not really the fence's, or the transport is not sure", async () => {
    for (const [isNoticed, isDrained] of [
      [false, true],
      [true, false],
    ] as const) {
      const { endpoint, lastFence, drained } = await setUp();
      const left = endpoint.stopReceiving();
      await turn();
      if (isNoticed) endpoint.message(notice(lastFence()));
      drained(isDrained);
      assert.equal(await left, false);
      assert.equal(await endpoint.stop(), false);
    }
  });

  test("sends nothing more that Mongrel2 would answer; a pause stands in for a fence", async () => {
    const { endpoint, clock, sent, lastFence } = await setUp();
    let asked = 0;
    endpoint.fence(() => asked++);
    void endpoint.stopReceiving();
    await turn();
    const stop = lastFence();
    sent.length = 0;
    endpoint.keepAlive([1, 2, 3]);
    let passed = 0;
    endpoint.fence(() => passed++);
    clock.advance(49);
    assert.deepEqual([passed, sent.length], [0, 0]);
    clock.advance(10_000);
    assert.deepEqual([passed, sent.length], [1, 0]);
    endpoint.message(notice(stop));
    assert.equal(asked, 1, "a fence from before the stop's passes with it");
    endpoint.fence(() => passed++);
    await endpoint.stop();
    assert.equal(clock.waiting, 0);
  });

  test("a Mongrel2 that ends meanwhile is lost, and not asked again when it is back", async () => {
    const { endpoint, clock, told, sent, drained } = await setUp();
    const left = endpoint.stopReceiving();
    await turn();
    endpoint.disconnected("in");
    endpoint.disconnected("out");
    drained(false);
    assert.equal(await left, false);
    sent.length = 0;
    endpoint.connected("out");
    clock.advance(10_000);
    assert.deepEqual(told, ["live", "lost"]);
    assert.deepEqual(sent, []);
    assert.equal(await endpoint.stop(), false);
  });

  test("right after the start it waits until Mongrel2 has answered, and serves what waited", async () => {
    const { endpoint, told, drains, goLive, clock } = await setUp({ isLive: false });
    endpoint.message(request(3));
    void endpoint.stopReceiving();
    clock.advance(2);
    goLive();
    await turn();
    assert.deepEqual(told, ["live", "http 3"]);
    assert.equal(drains[0]?.markTimeoutMs, 2000);
  });

  test("stops at once when Mongrel2 does not answer, and closes the connections that get no response", async () => {
    const { endpoint, clock, sent, drains, drained } = await setUp({ isLive: false });
    endpoint.message(request(3));
    const left = endpoint.stopReceiving();
    clock.advance(2000);
    await turn();
    assert.equal(drains[0]?.markTimeoutMs, 0);
    const cancels = sent.filter(({ body }) => String(body).includes("cancel"));
    assert.deepEqual(
      cancels.map(({ ids }) => ids),
      [[3]],
    );
    drained(true);
    assert.equal(await left, false);
  });
});
