/** Backends are told who connects and who leaves, beside a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { subscribe } from "../contract/event-publisher.js";
import { startPair } from "../support/pair.js";
import { freePort } from "../support/ports.js";

/** An event as the PUB socket sends it. */
interface Told {
  readonly kind: string;
  readonly connection: number;
  readonly [member: string]: unknown;
}

for (const implementation of ["native", "libzmq"])
  describe(`Client events over ZeroMQ (${implementation}), end to end`, () => {
    test("a subscriber sees who connects and who leaves, and that the daemon is another process", async (t) => {
      const zmq = `tcp://127.0.0.1:${await freePort()}`;
      const zmq_events = ["connect", "disconnect"];
      const pair = await startPair(t, { config: { events: { zmq, zmq_events }, zmq: { implementation } } });
      const backend = subscribe(t, zmq, "connect", "disconnect");
      const told = async (): Promise<Told> => JSON.parse((await backend.next())[1] ?? "");
      /** Opens streams until the subscriber is told of one: only then its subscriptions have arrived. */
      const firstTold = async () => {
        let event: Told | undefined;
        const seen = told().then((it) => {
          event = it;
        });
        while (event === undefined) await Promise.race([pair.stream(), seen]);
        return event;
      };
      const first = await firstTold();
      assert.deepEqual([first.kind, first.server, first.ident], ["connect", "main", pair.mongrel2.sendIdent]);
      assert.equal(first.remote, "127.0.0.1");
      assert.deepEqual(first.selectors, [{ kind: "any" }]);

      const stream = await pair.stream();
      let connected = await told();
      await stream.close();
      let event = await told();
      for (; event.kind !== "disconnect"; event = await told()) connected = event;
      assert.deepEqual([event.reason, event.connection], ["left", connected.connection]);
      assert.equal(event.sequence, (connected.sequence as number) + 1);

      await pair.daemon.kill9();
      await pair.restart();
      const next = await firstTold();
      assert.notEqual(next.instance, first.instance);
    });
  });
