import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Nodes } from "../../src/cluster/nodes.js";
import type { StreamSession } from "../../src/cluster/stream-session.js";
import type { Subscriber } from "../../src/delivery/subscriber.js";
import { FakeClock } from "../support/clock.js";

const subscriber = (name: string): Subscriber => ({
  id: `urn:uuid:${name}`,
  subscriptions: [{ kind: "exact", match: name }],
});

/** Where nodes hear one another; `lose` says which messages nobody gets. */
class Air {
  readonly clock = new FakeClock();
  lose: (data: Uint8Array) => boolean = () => false;
  told = 0;
  readonly #sending: Uint8Array[] = [];
  readonly #listeners = new Map<StreamSession, (data: Uint8Array) => void>();

  session(): StreamSession {
    const session = {
      broadcast: (data: Uint8Array) => {
        this.told++;
        if (!this.lose(data)) this.#send(data);
      },
      onRequest: () => {},
      onBroadcast: (hear: (data: Uint8Array) => void) => this.#listeners.set(session as unknown as StreamSession, hear),
    };
    return session as unknown as StreamSession;
  }

  /** What is told while something is heard comes after it: all hear the messages of a node in the order in which it told them. */
  #send(data: Uint8Array): void {
    if (this.#sending.push(data) > 1) return;
    for (; this.#sending[0]; this.#sending.shift()) {
      for (const hear of [...this.#listeners.values()]) hear(this.#sending[0]);
    }
  }

  /** Its messages go nowhere from now on. */
  cut(session: StreamSession): void {
    this.#listeners.delete(session);
  }

  node(id: string, position = () => 0) {
    const state = () => ({ name: `${id}/1`, version: "1", clients: 3, epoch: "e", position: position() });
    const nodes = new Nodes({ clock: this.clock, id, state });
    const session = this.session();
    nodes.connect(session);
    return Object.assign(nodes, { session });
  }
}

const ids = (nodes: Nodes) => [...nodes.subscribers()].map(({ id }) => id.slice(9)).sort();
const names = (nodes: Nodes) => nodes.snapshot().map(({ name }) => name);

/** The revocations of a node, by their ids. */
function sharing(nodes: Nodes, ...own: string[]): Set<string> {
  const known = new Set(own);
  nodes.revocations.share({
    all: () => [...known].map((id) => ({ id })),
    received: (revocations) => {
      for (const { id } of revocations) known.add(id);
    },
  });
  return known;
}

const REVOKED = ["a".repeat(16), "b".repeat(16)] as const;

describe("Nodes", () => {
  test("a token that is revoked on one node is on all, those included that come later or missed it", () => {
    const air = new Air();
    const [a, b] = [air.node("a"), air.node("b")];
    const [known, others] = [sharing(a), sharing(b, REVOKED[1])];
    assert.deepEqual([...known], [REVOKED[1]], "what the other one knew already");
    air.lose = () => true;
    known.add(REVOKED[0]);
    a.revocations.revoke([{ id: REVOKED[0] }]);
    assert.ok(!others.has(REVOKED[0]));
    air.lose = () => false;
    air.clock.advance(5000);
    assert.ok(others.has(REVOKED[0]), "the gap in the numbers brings the full state");
    const late = air.node("c");
    air.clock.advance(2000);
    assert.deepEqual([...sharing(late)].sort(), [...REVOKED], "what came before it was ready");
  });

  test("nodes find each other within seconds, in any order of their starts, with the position of each", () => {
    const air = new Air();
    const a = air.node("a", () => 7);
    const b = air.node("b", () => 10);
    air.clock.advance(2000);
    assert.deepEqual(
      [names(a), names(b)],
      [
        ["a/1", "b/1"],
        ["b/1", "a/1"],
      ],
    );
    const lags = a.snapshot().map(({ self, lag, heard, clients }) => [self, lag, heard, clients]);
    assert.deepEqual(lags, [
      [true, 3, 0, 3],
      [false, 0, 0, 3],
    ]);
  });

  test("who is subscribed at one is known at the others, also at one that comes later", () => {
    const air = new Air();
    const a = air.node("a");
    const b = air.node("b");
    a.joined(subscriber("x"));
    a.joined(subscriber("y"));
    b.joined(subscriber("z"));
    a.left(subscriber("y"));
    air.clock.advance(100);
    const c = air.node("c");
    air.clock.advance(1000);
    assert.deepEqual([ids(a), ids(b), ids(c)], [["z"], ["x"], ["x", "z"]]);
  });

  test("subscribers that join and leave within 50 ms share one message", () => {
    const air = new Air();
    const a = air.node("a");
    const before = air.told;
    for (let i = 0; i < 100; i++) a.joined(subscriber(`s${i}`));
    air.clock.advance(60);
    assert.equal(air.told - before, 1);
  });

  test("ten thousand subscribers are told of in messages that NATS takes", () => {
    const air = new Air();
    let largest = 0;
    air.lose = (data) => {
      largest = Math.max(largest, data.length);
      return false;
    };
    const a = air.node("a");
    for (let i = 0; i < 10_000; i++) a.joined(subscriber(`s${i}`));
    const b = air.node("b");
    air.clock.advance(1100);
    assert.equal(ids(b).length, 10_000);
    assert.ok(largest < 500_000, `${largest} bytes`);
  });

  test("a node that is silent for seconds is forgotten, with who was there; one that stops at once", () => {
    const air = new Air();
    const [a, b, c] = [air.node("a"), air.node("b"), air.node("c")];
    b.joined(subscriber("x"));
    c.joined(subscriber("y"));
    air.clock.advance(100);
    assert.deepEqual(ids(a), ["x", "y"]);
    c.close();
    assert.deepEqual([names(a), ids(a)], [["a/1", "b/1"], ["x"]]);
    const changes = a.changes;
    b.connect(undefined);
    air.clock.advance(10_000);
    assert.deepEqual([names(a), ids(a)], [["a/1"], []]);
    assert.ok(a.changes > changes);
  });

  test("a node that was disconnected sends its full state when it is back", () => {
    const air = new Air();
    const [a, b] = [air.node("a"), air.node("b")];
    b.joined(subscriber("before"));
    air.clock.advance(100);
    air.cut(b.session);
    b.connect(undefined);
    b.left(subscriber("before"));
    b.joined(subscriber("after"));
    air.clock.advance(500);
    b.connect(air.session());
    assert.deepEqual(ids(a), ["after"]);
  });

  test("whatever gets lost on the way: soon after it ends, everybody knows who is where", () => {
    const step = fc.record({
      node: fc.nat(2),
      join: fc.boolean(),
      who: fc.nat(9),
      lost: fc.boolean(),
      wait: fc.nat(1500),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const air = new Air();
        const nodes = ["a", "b", "c"].map((id) => air.node(id));
        const there = nodes.map(() => new Set<string>());
        for (const { node, join, who, lost, wait } of steps) {
          air.lose = () => lost;
          const name = `${node}-${who}`;
          if (join) nodes[node]?.joined(subscriber(name));
          else nodes[node]?.left(subscriber(name));
          if (join) there[node]?.add(name);
          else there[node]?.delete(name);
          air.clock.advance(wait);
        }
        air.lose = () => false;
        air.clock.advance(8000);
        for (const [at, node] of nodes.entries()) {
          const others = there.flatMap((names, of) => (of === at ? [] : [...names]));
          assert.deepEqual(ids(node), others.sort());
        }
      }),
    );
  });

  test("what is not ours, or of another version, is left aside", () => {
    const air = new Air();
    const [a, b] = [air.node("a"), air.node("b")];
    const stranger = air.session();
    const state = { name: "x", position: 1 };
    for (const text of [
      "",
      "{",
      "null",
      "[]",
      '"x"',
      '{"node":"c"}',
      JSON.stringify({ node: "c", number: 1, state, joined: [{}] }),
      JSON.stringify({ node: "c", number: 1, state, left: "all" }),
      JSON.stringify({ node: "c", number: "1", state }),
    ]) {
      stranger.broadcast(Buffer.from(text));
    }
    assert.deepEqual(names(a), ["a/1", "b/1"]);
    b.joined(subscriber("x"));
    air.clock.advance(100);
    assert.deepEqual(ids(a), ["x"]);
  });

  test("after close no timer is left", () => {
    const air = new Air();
    const a = air.node("a");
    a.joined(subscriber("x"));
    a.close();
    assert.equal(air.clock.waiting, 0);
  });

  describe("What watchers at another node are told", () => {
    /** Two nodes that know each other, and what the second hears of the first. */
    function observed() {
      const air = new Air();
      const [a, b] = [air.node("a"), air.node("b")];
      air.clock.advance(3000); // until both have told everything
      const told: string[] = [];
      b.observe({
        joined: ({ id }) => told.push(`joined ${id.slice(9)}`),
        changed: (before, after) => told.push(`changed ${matchesOf(before)} to ${matchesOf(after)}`),
        left: ({ id }) => told.push(`left ${id.slice(9)}`),
        missed: () => told.push("missed"),
      });
      return { air, a, b, told };
    }

    test("those who come and go, once each; not those who were there before, as after a restart", () => {
      const { air, a, told } = observed();
      a.joined(subscriber("new"), true);
      a.joined(subscriber("adopted"), false);
      air.clock.advance(100);
      a.left(subscriber("new"));
      a.left(subscriber("adopted"));
      air.clock.advance(100);
      assert.deepEqual(told, ["joined new", "left new", "left adopted"]);
    });

    test("the subscriptions that change, also before the subscriber itself was told of", () => {
      const { air, a, b, told } = observed();
      const having = (name: string, ...matches: string[]): Subscriber => ({
        ...subscriber(name),
        subscriptions: matches.map((match) => ({ kind: "topic", match })),
      });
      a.joined(having("x", "one"), true);
      a.changed(having("x", "one", "two"));
      air.clock.advance(100);
      assert.deepEqual(told.splice(0), ["joined x"]);
      a.changed(having("x", "three"));
      air.clock.advance(100);
      assert.deepEqual(told, ["changed one+two to three"]);
      assert.deepEqual([...b.subscribers()].map(matchesOf), ["three"]);
    });

    test("who left an earlier process and was never told of by this one", () => {
      const { air, a, told } = observed();
      a.left(subscriber("of an earlier process"));
      air.clock.advance(100);
      assert.deepEqual(told, ["left of an earlier process"]);
    });

    test("that something is missing, where a message was lost or a node is silent; not for a node that starts", () => {
      const { air, a, b, told } = observed();
      let lost = 0;
      air.lose = (data) => Buffer.from(data).includes("unheard") && lost++ === 0;
      a.joined(subscriber("unheard"), true);
      air.clock.advance(5000);
      assert.deepEqual(told, ["missed"]);
      assert.deepEqual(ids(b), ["unheard"], "the list is whole again");
      air.node("c");
      air.clock.advance(5000);
      assert.deepEqual(told, ["missed"]);
      a.connect(undefined);
      air.clock.advance(10_000);
      assert.deepEqual(told, ["missed", "missed"]);
    });

    test("a subscriber that has just joined, although the full state is sent at that moment", () => {
      const { air, a, told } = observed();
      a.joined(subscriber("x"), true);
      air.node("c");
      air.clock.advance(100);
      assert.deepEqual(told, ["joined x"]);
    });
  });
});

const matchesOf = ({ subscriptions }: Subscriber): string => subscriptions.map(({ match }) => match).join("+");
