import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Interest } from "../../src/matching/interest.js";
import { PUBLICATION_UNITS } from "../../src/matching/match-budget.js";
import { MAX_STEP_COUNT, stepsSoFar } from "../../src/matching/nfa-matcher.js";
import { canonical, parseSelector, type Selector } from "../../src/matching/selector.js";
import { type Bench, bench } from "../support/hub.js";

const BASE = "http://hub.example/.well-known/mercure";
const PLAIN = 100;

const pattern = (value: string): Selector => parseSelector("urlpattern", value, BASE);
const exact: Interest = { selectors: [parseSelector("exact", "t", BASE)], grants: [] };

/** Each takes 15,000 to 30,000 steps for a topic like those below, whose literal text excludes none; the last selects them all. */
function slow(seed: number, count = 20, grants: readonly Selector[] = []): Interest {
  const vain = Array.from({ length: count }, (_, n) => pattern(`https://example.com/((?:.?){${150 + n}}[Z${seed}])`));
  const selecting = pattern(`https://example.com/((?:.?){200}[y${String.fromCharCode(64 + seed)}])`);
  return { selectors: canonical([...vain, selecting]), grants };
}

const topicOf = (n: number) => `https://example.com/users/${`${n}`.padStart(6, "0")}/notifications/of/all/kinds/y`;

/** A hub with ten streams of expensive patterns, and one with an exact topic. */
async function crowded(options: Parameters<typeof bench>[0] = {}): Promise<Bench> {
  const it = await bench(options);
  it.connect(PLAIN, { interest: exact });
  for (let id = 1; id <= 10; id++) it.connect(id, { interest: slow(id) });
  it.outlet.acknowledgeAll();
  return it;
}

/** Publishes on a new topic, and on the exact one. */
function publish({ hub }: Bench, n: number, hidden = false): void {
  void hub.publish({ topics: [topicOf(n), "t"], data: `${n}`, private: hidden });
}

/** Waits until every client has caught up. */
function catchUpAll({ outlet, server, clock }: Bench): void {
  for (let turns = 0; server.figures.behind > 0 || outlet.pendingFences > 0; turns++) {
    assert.ok(turns < 100_000, "no client catches up");
    if (!outlet.pass()) clock.advance(1);
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => `${n}`);

describe("Overload: streams with expensive patterns", () => {
  test("are deferred, and get every event in order; a stream with an exact topic gets each at once", async () => {
    const it = await crowded();
    for (let n = 0; n < 20; n++) {
      publish(it, n);
      it.outlet.acknowledgeAll();
      assert.deepEqual(it.outlet.events(PLAIN), numbers(n + 1));
      assert.equal(it.server.clients.get(PLAIN)?.state.name, "live");
    }
    catchUpAll(it);
    for (let id = 1; id <= 10; id++) assert.deepEqual(it.outlet.events(id), numbers(20), `client ${id}`);
    assert.deepEqual(it.outlet.closed, []);
  });

  test("cost one publication no more than its budget, and all publications in a row no more than theirs", async () => {
    const it = await crowded();
    const begun = stepsSoFar();
    let most = 0;
    for (let n = 0; n < 40; n++) {
      const before = stepsSoFar();
      publish(it, n);
      most = Math.max(most, stepsSoFar() - before);
    }
    // Besides: the last try of each, and the first flush, which goes out at once with a slice for who is behind.
    assert.ok(most <= PUBLICATION_UNITS + 2 * MAX_STEP_COUNT + 100_000, `${most} steps`);
    const all = stepsSoFar() - begun;
    assert.ok(all <= 1_500_000 + 2 * MAX_STEP_COUNT + 100_000, `${all} steps`);
    catchUpAll(it);
    for (let id = 1; id <= 10; id++) assert.deepEqual(it.outlet.events(id), numbers(40));
  });

  test("catch up in slices: no flush takes longer because of them", async () => {
    const it = await crowded();
    for (let n = 0; n < 20; n++) publish(it, n);
    let most = 0;
    while (it.server.figures.behind > 0) {
      const before = stepsSoFar();
      if (!it.outlet.pass()) it.clock.advance(1);
      most = Math.max(most, stepsSoFar() - before);
    }
    assert.ok(most <= 2 * (100_000 + MAX_STEP_COUNT), `${most} steps in one turn`);
  });

  test("are tried on a topic once, deferred or not: a second publication on it defers no client", async () => {
    const it = await crowded();
    publish(it, 1);
    assert.ok(it.server.figures.behind > 0, "deferred");
    catchUpAll(it);
    publish(it, 1);
    assert.equal(it.server.figures.behind, 0);
    it.outlet.acknowledgeAll();
    for (let id = 1; id <= 10; id++) assert.deepEqual(it.outlet.events(id), ["1", "1"]);
  });

  test("get a gap event, overload, when they fall behind the history; others do not", async () => {
    const it = await crowded({ maxEvents: 5 });
    for (let n = 0; n < 40; n++) {
      publish(it, n);
      it.outlet.pass();
    }
    catchUpAll(it);
    const gapOf = (id: number) =>
      /^event: m2push-gap\nid: .*\ndata: (.*)$/m.exec(it.outlet.received.get(id) ?? "")?.[1];
    assert.equal(gapOf(PLAIN), undefined);
    assert.deepEqual(it.outlet.events(PLAIN), numbers(40));
    const reasons = numbers(10).map((id) => JSON.parse(gapOf(Number(id) + 1) ?? "{}").reason);
    assert.ok(reasons.includes("overload"), `${reasons}`);
    assert.ok(!reasons.includes("expired"), `${reasons}`);
  });

  test("are closed after they were too expensive for 10 s, and not before", async () => {
    const it = await crowded();
    for (let n = 0; it.clock.monotonic() < 9_400; n++) {
      publish(it, n);
      const next = it.clock.monotonic() + 500;
      while (it.clock.monotonic() < next) if (!it.outlet.pass()) it.clock.advance(1);
    }
    assert.deepEqual(it.outlet.closed, []);
    for (let n = 1000; it.clock.monotonic() < 20_000; n++) {
      publish(it, n);
      const next = it.clock.monotonic() + 500;
      while (it.clock.monotonic() < next) if (!it.outlet.pass()) it.clock.advance(1);
    }
    assert.ok(it.outlet.closed.length >= 5, `${it.outlet.closed}`);
    assert.equal(it.outlet.closed.filter((id) => id === PLAIN).length, 0);
  });

  test("stay open after a burst that they catch up with", async () => {
    const it = await crowded();
    for (let n = 0; n < 20; n++) publish(it, n);
    catchUpAll(it);
    it.clock.advance(60_000);
    assert.deepEqual(it.outlet.closed, []);
    it.server.handOver();
    assert.equal(it.clock.waiting, 0, "no timer is left");
  });

  test("get private events by their grants while they are deferred, and only those", async () => {
    const it = await crowded();
    const grant = pattern("https://example.com/users/:id/*");
    it.connect(20, { interest: slow(20, 20, [grant]) });
    it.outlet.acknowledgeAll();
    publish(it, 1, true);
    publish(it, 2);
    catchUpAll(it);
    assert.deepEqual(it.outlet.events(20), ["1", "2"]);
    assert.deepEqual(it.outlet.events(1), ["2"]);
    assert.deepEqual(it.outlet.events(PLAIN), ["2"]);
  });
});
