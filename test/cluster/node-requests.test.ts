import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NodeRequests, type Peers } from "../../src/cluster/node-requests.js";
import type { StreamSession } from "../../src/cluster/stream-session.js";
import { ProtocolError } from "../../src/errors.js";
import { FakeClock } from "../support/clock.js";

type Answer = (data: Uint8Array) => Promise<Uint8Array | undefined>;

/** Where the nodes reach one another; those of `deaf` hear no request. */
class Air {
  readonly clock = new FakeClock();
  readonly deaf = new Set<string>();
  requests = 0;
  readonly #answers = new Map<string, Answer>();

  node(id: string, peers: () => Peers): NodeRequests {
    const requests = new NodeRequests({ clock: this.clock, id, peers });
    const session: Pick<StreamSession, "request" | "onRequest"> = {
      request: (data, answered) => {
        this.requests++;
        let isOver = false;
        for (const [name, answer] of this.#answers) {
          if (this.deaf.has(name)) continue;
          void answer(data).then((it) => {
            if (it && !isOver) answered(it);
          });
        }
        return () => {
          isOver = true;
        };
      },
      onRequest: (answer) => void this.#answers.set(id, answer),
    };
    requests.connect(session as StreamSession);
    return requests;
  }
}

const notFound = async () => {
  throw new ProtocolError("not_found", "unknown");
};

/** Three nodes; the first one asks. */
function setUp(areAllKnown = true) {
  const air = new Air();
  const [a, b, c] = ["a", "b", "c"].map((id, _, all) =>
    air.node(id, () => ({ ids: all.filter((it) => it !== id), areAllKnown })),
  ) as [NodeRequests, NodeRequests, NodeRequests];
  for (const it of [a, b, c]) it.serve(notFound);
  return { air, a, b, c };
}

describe("NodeRequests", () => {
  test("the node that knows what is asked for answers", async () => {
    const { a, c } = setUp();
    c.serve(async (request) => ({ got: request }));
    assert.deepEqual(await a.send("x"), { got: "x" });
  });

  test("what every node has answered not to know does not exist", async () => {
    const { air, a } = setUp();
    assert.equal(await a.send("x"), undefined);
    assert.equal(air.clock.waiting, 0);
  });

  test("the error of the node that knows is the error of the request", async () => {
    const { a, b } = setUp();
    b.serve(async () => {
      throw new ProtocolError("too_large", "too many", { retryAfterMs: 5 });
    });
    await assert.rejects(a.send("x"), { code: "too_large", message: "too many", retryAfterMs: 5 });
    b.serve(async () => {
      throw new TypeError("a defect");
    });
    await assert.rejects(a.send("x"), { code: "internal" });
  });

  test("a node that does not answer within two seconds may know it: unavailable", async () => {
    const { air, a } = setUp();
    air.deaf.add("b");
    const sent = a.send("x");
    await new Promise(setImmediate);
    air.clock.advance(1999);
    assert.equal(air.clock.waiting, 1);
    air.clock.advance(1);
    await assert.rejects(sent, { code: "unavailable", retryAfterMs: 1000 });
  });

  test("while a node may be starting, what the others do not know is unavailable", async () => {
    const { a } = setUp(false);
    await assert.rejects(a.send("x"), { code: "unavailable" });
  });

  test("a node that is alone asks nobody, and a disconnected one is unavailable", async () => {
    const air = new Air();
    const alone = air.node("a", () => ({ ids: [], areAllKnown: true }));
    assert.deepEqual([await alone.send("x"), air.requests], [undefined, 0]);
    const cut = air.node("b", () => ({ ids: ["c"], areAllKnown: true }));
    cut.connect(undefined);
    await assert.rejects(cut.send("x"), { code: "unavailable" });
  });

  test("requests that wait are bounded, and messages of another format are left aside", async () => {
    const { air, a, b } = setUp();
    for (const name of ["b", "c"]) air.deaf.add(name);
    const waiting = Array.from({ length: 100 }, () => a.send("x"));
    await assert.rejects(a.send("x"), /too many requests to other nodes/);
    air.clock.advance(2000);
    for (const sent of waiting) await assert.rejects(sent, { code: "unavailable" });
    air.deaf.clear();
    b.serve(async () => "here");
    assert.equal(await a.send("x"), "here");
  });
});
