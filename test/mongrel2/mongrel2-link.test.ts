import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ProtocolError } from "../../src/errors.js";
import type { LinkEvents } from "../../src/mongrel2/link-events.js";
import { Mongrel2Link } from "../../src/mongrel2/mongrel2-link.js";
import { decodeReply } from "../../src/protocol/reply.js";
import type { Inbound } from "../../src/protocol/request.js";
import { FakeClock } from "../support/clock.js";

const IDENT = "test-ident";
const json = (text: string) => `${Buffer.byteLength(text)}:${text},`;
const notice = (id: number) =>
  Buffer.from(`${IDENT} ${id} @* ${json('{"METHOD":"JSON"}')}${json('{"type":"disconnect"}')}`);
const get = (id: number, ident = IDENT) =>
  Buffer.from(
    `${ident} ${id} /x ${json(`{"PATH":"/x","METHOD":"GET","VERSION":"HTTP/1.1","URI":"/x","PATTERN":"/x","URL_SCHEME":"http","REMOTE_ADDR":"127.0.0.1"}`)}0:,`,
  );

/** An endpoint on a transport that keeps what is sent. */
async function setUp(linkTimeoutMs = 60_000, mayServe = () => true) {
  const clock = new FakeClock();
  const sent: { ids: number[]; extended: boolean; body: string }[] = [];
  const told: string[] = [];
  const pings = { count: 0 };
  const measured = { count: 0 };
  const name = (message: Inbound) => `${message.kind} ${message.id}`;
  const events: LinkEvents = {
    live: (_, untrusted) => told.push(untrusted.length > 0 ? `live, untrusted ${untrusted}` : "live"),
    lost: () => told.push("lost"),
    inbound: (message) => told.push(name(message)),
    malformed: (error) => told.push(`malformed ${"id" in error ? error.id : "?"}`),
    silent: (_, live) => told.push(`silent ${live}`),
    answering: () => told.push("answering"),
    foreignFence: (isYounger) => told.push(isYounger ? "foreign, younger" : "foreign, older"),
    wrongIdent: (seen) => told.push(`ident ${seen}`),
    fencePassed: () => measured.count++,
    fromEarlierInstance: (messages) => told.push(`stale ${messages}`),
  };
  const transport = {
    async start() {},
    close: async () => true,
    stopReceiving: async () => true,
    reconnect: () => told.push("reconnect"),
    ping: () => ++pings.count > 0,
    send(head: Buffer, content: Buffer) {
      const frame = Buffer.concat([head, content]);
      const { ids, extended, body } = decodeReply(frame);
      sent.push({ ids, extended, body: body.toString() });
    },
  };
  const endpoint = new Mongrel2Link({
    sendIdent: IDENT,
    maxTargets: 128,
    transport,
    clock,
    linkTimeoutMs,
    random: () => 0.5,
    mayServe,
    events,
  });
  await endpoint.start();
  endpoint.connected("in");
  endpoint.connected("out");
  const lastFence = () => sent.findLast(({ ids }) => (ids[0] ?? 0) > 2_000_000_000)?.ids[0] ?? 0;
  const goLive = () => endpoint.message(notice(lastFence()));
  return { endpoint, clock, sent, told, pings, measured, lastFence, goLive };
}

describe("Mongrel2Link", () => {
  test("nothing is handed on before a fence has come back, then everything, in order", async () => {
    const { endpoint, told, goLive } = await setUp();
    endpoint.message(get(1));
    endpoint.message(get(2));
    assert.deepEqual(told, []);
    goLive();
    endpoint.message(get(3));
    assert.deepEqual(told, ["live", "http 1", "http 2", "http 3"]);
  });

  test("a fence is asked again and again until Mongrel2 answers", async () => {
    const { clock, sent, goLive } = await setUp();
    clock.advance(2000);
    assert.ok(sent.length > 8, `${sent.length} probes`);
    goLive();
    const probes = sent.length;
    clock.advance(400);
    assert.equal(sent.length, probes);
  });

  test("a fence passes when its notice comes, and not before", async () => {
    const { endpoint, lastFence, goLive } = await setUp();
    goLive();
    const passed: string[] = [];
    endpoint.fence(() => passed.push("a"));
    const first = lastFence();
    endpoint.fence(() => passed.push("b"));
    const second = lastFence();
    assert.deepEqual(passed, []);
    endpoint.message(notice(first));
    assert.deepEqual(passed, ["a"]);
    endpoint.message(notice(second));
    endpoint.message(notice(second));
    assert.deepEqual(passed, ["a", "b"]);
  });

  test("only a fence behind events is measured", async () => {
    const { endpoint, lastFence, goLive, measured } = await setUp();
    goLive();
    endpoint.fence(() => {}, false);
    endpoint.message(notice(lastFence()));
    assert.equal(measured.count, 0);
    endpoint.fence(() => {});
    endpoint.message(notice(lastFence()));
    assert.equal(measured.count, 1);
  });

  test("a later fence's notice passes the earlier ones too", async () => {
    const { endpoint, lastFence, goLive } = await setUp();
    goLive();
    const passed: string[] = [];
    endpoint.fence(() => passed.push("a"));
    endpoint.fence(() => passed.push("b"));
    endpoint.message(notice(lastFence()));
    assert.deepEqual(passed, ["a", "b"]);
  });

  test("a fence whose notice got lost is asked again", async () => {
    const { endpoint, clock, lastFence, goLive } = await setUp();
    goLive();
    const passed: string[] = [];
    endpoint.fence(() => passed.push("a"));
    const lost = lastFence();
    clock.advance(2500);
    assert.notEqual(lastFence(), lost);
    endpoint.message(notice(lastFence()));
    assert.deepEqual(passed, ["a"]);
  });

  for (const direction of ["in", "out"] as const) {
    test(`a disconnect of the ${direction} socket ends the epoch: fences of the old one never pass`, async () => {
      const { endpoint, told, lastFence, goLive } = await setUp();
      goLive();
      const passed: string[] = [];
      endpoint.fence(() => passed.push("a"));
      const old = lastFence();
      endpoint.disconnected(direction);
      endpoint.connected(direction);
      endpoint.message(notice(old));
      assert.deepEqual(passed, []);
      assert.deepEqual(told, ["live", "lost"]);
      goLive();
      assert.deepEqual(told, ["live", "lost", "live"]);
    });
  }

  test("where we bind, a foreign peer that connects and disconnects ends the generation (it may have been Mongrel2), and not the service", async () => {
    const { endpoint, told, goLive } = await setUp();
    goLive();
    endpoint.message(get(1));
    endpoint.connected("in");
    endpoint.disconnected("in");
    assert.deepEqual(told, ["live", "http 1", "lost"]);
    goLive();
    endpoint.message(get(2));
    endpoint.disconnected("in");
    endpoint.message(get(3));
    assert.deepEqual(told.slice(3), ["live", "http 2", "lost", "stale 1"]);
  });

  test("requests that are held when a socket disconnects are untrusted: told once it is live, not forgotten", async () => {
    const { endpoint, told, goLive } = await setUp();
    endpoint.message(get(7));
    endpoint.message(get(8));
    endpoint.disconnected("out");
    endpoint.connected("out");
    endpoint.message(get(9));
    assert.deepEqual(told, ["stale 2"]);
    goLive();
    assert.deepEqual(told, ["stale 2", "live, untrusted 7,8", "http 9"]);
  });

  test("a request that comes while Mongrel2 is lost may be of the old one: it is untrusted, never served", async () => {
    const { endpoint, told, goLive } = await setUp();
    goLive();
    endpoint.disconnected("out");
    endpoint.disconnected("in");
    endpoint.message(get(57));
    endpoint.connected("in");
    endpoint.connected("out");
    endpoint.message(get(1));
    goLive();
    assert.deepEqual(told, ["live", "lost", "stale 1", "live, untrusted 57", "http 1"]);
  });

  test("no id is a sign of a restart: a connection that is kept sends each request with its old one", async () => {
    const { endpoint, told, goLive } = await setUp();
    goLive();
    for (const id of [1, 1_000_000, 1, 2, 900_000, 1]) endpoint.message(get(id));
    assert.deepEqual(told, ["live", "http 1", "http 1000000", "http 1", "http 2", "http 900000", "http 1"]);
  });

  test("an epoch that is ended from outside begins again with a fence, once it is said that what comes in is of the new Mongrel2", async () => {
    const { endpoint, told, lastFence, goLive } = await setUp();
    goLive();
    const old = lastFence();
    endpoint.endGeneration("its control port is gone");
    endpoint.message(get(7));
    endpoint.resume();
    endpoint.message(notice(old));
    endpoint.message(get(1));
    assert.deepEqual(told, ["live", "lost", "stale 1"]);
    goLive();
    assert.deepEqual(told.slice(3), ["live, untrusted 7", "http 1"]);
  });

  test("a link on which fences pass is not live before it may be served", async () => {
    let isReady = false;
    const { endpoint, clock, told, goLive } = await setUp(0, () => isReady);
    endpoint.message(get(1));
    goLive();
    assert.deepEqual(told, []);
    isReady = true;
    clock.advance(250);
    goLive();
    assert.deepEqual(told, ["live", "http 1"]);
  });

  test("notices of fences that another process asked for are told, one to nobody is not", async () => {
    const { endpoint, told, lastFence, goLive } = await setUp();
    goLive();
    const own = lastFence();
    for (const id of [own - 1000, own + 1000, 2_147_483_647, own]) endpoint.message(notice(id));
    assert.deepEqual(told, ["live", "foreign, older", "foreign, younger"]);
  });

  test("a broken message is told, and the next good one is served", async () => {
    const { endpoint, told, goLive } = await setUp();
    goLive();
    endpoint.message(Buffer.from("garbage"));
    endpoint.message(Buffer.from(`${IDENT} 5 /x 4:{"a},0:,`));
    endpoint.protocolError(new ProtocolError("invalid", "a message in several parts"));
    endpoint.message(get(6));
    assert.deepEqual(told, ["live", "malformed undefined", "malformed 5", "malformed ?", "http 6"]);
  });

  test("another ident than the configured one is told once", async () => {
    const { endpoint, told, goLive } = await setUp();
    goLive();
    endpoint.message(get(1, "other"));
    endpoint.message(get(2, "other"));
    assert.deepEqual(told, ["live", "ident other", "http 1", "http 2"]);
  });

  test("idents that come in turns are each told once, and of a thousand not all", async () => {
    const { endpoint, told, goLive } = await setUp();
    goLive();
    for (let id = 1; id <= 1000; id++) endpoint.message(get(id, ["one", "two", IDENT][id % 3]));
    const idents = () => told.filter((it) => it.startsWith("ident"));
    assert.deepEqual(idents(), ["ident two", "ident one"]);
    for (let id = 1001; id <= 2000; id++) endpoint.message(get(id, `ident-${id}`));
    assert.equal(idents().length, 16);
    assert.equal(told.filter((it) => it.startsWith("http")).length, 2000);
  });

  test("silence is told once, and its end: before Mongrel2 ever answered, and when it stops answering", async () => {
    const { endpoint, clock, told, goLive } = await setUp();
    clock.advance(20_000);
    assert.deepEqual(told, ["silent false"]);
    goLive();
    endpoint.fence(() => {});
    clock.advance(20_000);
    goLive();
    assert.deepEqual(told, ["silent false", "answering", "live", "silent true", "answering"]);
  });

  test("a Mongrel2 that stands still is noticed without any traffic, before 8 s have passed", async () => {
    const { clock, sent, told, goLive } = await setUp();
    goLive();
    sent.length = 0;
    for (let second = 0; second < 60; second++) {
      clock.advance(1000);
      goLive();
    }
    assert.ok(sent.length >= 25 && sent.length <= 60, `${sent.length} fences a minute`);
    assert.deepEqual(told, ["live"]);
    clock.advance(8000);
    assert.deepEqual(told, ["live", "silent true"]);
  });

  test("a link on which nothing answers for link_timeout is connected again, and not before", async () => {
    const { clock, told, goLive } = await setUp(60_000);
    goLive();
    clock.advance(59_000);
    assert.deepEqual(told, ["live", "silent true"]);
    clock.advance(2000);
    assert.deepEqual(told, ["live", "silent true", "lost", "reconnect"]);
  });

  test("a link whose library answers is not connected again, though Mongrel2 is silent", async () => {
    const { endpoint, clock, told, pings, goLive } = await setUp(60_000);
    goLive();
    for (let second = 0; second < 300; second += 30) {
      clock.advance(30_000);
      endpoint.pong();
    }
    assert.deepEqual(told, ["live", "silent true"]);
    assert.ok(pings.count >= 50, `${pings.count} pings`);
    clock.advance(61_000);
    assert.deepEqual(told.slice(-2), ["lost", "reconnect"]);
  });

  test("link_timeout 0 connects again never", async () => {
    const { clock, told, goLive } = await setUp(0);
    goLive();
    clock.advance(3_600_000);
    assert.deepEqual(told, ["live", "silent true"]);
  });

  test("a pause of the daemon itself is no silence of Mongrel2, and no reason to connect again", async () => {
    const { clock, told, goLive } = await setUp(60_000);
    goLive();
    clock.skip(300_000);
    goLive();
    clock.advance(4000);
    assert.deepEqual(told, ["live"]);
  });

  test("closing and cancelling many goes out in frames of at most 128", async () => {
    const { endpoint, sent } = await setUp();
    sent.length = 0;
    const ids = Array.from({ length: 300 }, (_, index) => index + 1);
    endpoint.close(ids);
    endpoint.cancel(ids);
    assert.deepEqual(
      sent.map(({ ids, extended, body }) => [ids.length, extended, body.length > 0]),
      [
        [128, false, false],
        [128, false, false],
        [44, false, false],
        [128, true, true],
        [128, true, true],
        [44, true, true],
      ],
    );
  });

  test("streams that open together and begin alike share a message; nothing overtakes it", async () => {
    const { endpoint, sent, goLive } = await setUp();
    goLive();
    sent.length = 0;
    const hello = Buffer.from("hello");
    for (let id = 1; id <= 130; id++) endpoint.open(id, Buffer.from("hello"));
    endpoint.open(131, Buffer.from("another"));
    endpoint.open(132, hello);
    endpoint.deliver(endpoint.address([132]), Buffer.from("event"));
    endpoint.open(133, hello);
    await new Promise(setImmediate);
    const first = Array.from({ length: 128 }, (_, i) => i + 1);
    assert.deepEqual(
      sent.map(({ ids, body }) => [body, ids]),
      [
        ["hello", first],
        ["hello", [129, 130]],
        ["another", [131]],
        ["hello", [132]],
        ["event", [132]],
        ["hello", [133]],
      ],
    );
  });

  test("a stream that is being opened when Mongrel2 is lost gets nothing: its id may be a stranger's by now", async () => {
    const { endpoint, sent, goLive } = await setUp();
    goLive();
    endpoint.open(7, Buffer.from("hello"));
    endpoint.disconnected("in");
    await new Promise(setImmediate);
    assert.equal(sent.filter(({ body }) => body === "hello").length, 0);
  });

  test("after stop no timer is left", async () => {
    const { endpoint, clock } = await setUp();
    await endpoint.stop();
    assert.equal(clock.waiting, 0);
  });

  test("when a burst begins, and in each life of a link once, one large message goes to nobody", async () => {
    const { endpoint, clock, sent, told, goLive } = await setUp();
    const large = () => sent.filter(({ body }) => body.length > 1_000_000).map(({ ids, body }) => [ids, body.length]);
    const room = [[2_147_483_647], 4_000_000];
    goLive();
    for (const bytes of [12_000_000, 1_000_000, 12_000_000, 11_999_999, 12_000_000]) endpoint.prepare(bytes);
    assert.deepEqual(large(), [], "no two large ones in a row");
    for (let count = 0; count < 3; count++) endpoint.prepare(12_000_000);
    assert.deepEqual(large(), [room]);
    endpoint.message(notice(2_147_483_647));
    assert.deepEqual(told, ["live"], "nobody hears that nobody is gone");
    endpoint.disconnected("in");
    endpoint.connected("in");
    clock.advance(1000);
    goLive();
    endpoint.prepare(12_000_000);
    assert.deepEqual([told.at(-1), large()], ["live", [room]]);
    endpoint.prepare(12_000_000);
    assert.deepEqual(large(), [room, room]);
  });
});
