/** Backends are told who connects and who leaves, beside a real Mongrel2. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, type TestContext, test } from "node:test";
import { subscribe } from "../contract/event-publisher.js";
import { type Pair, startPair } from "../support/pair.js";
import { freePort } from "../support/ports.js";
import { type ReceivedEvent, WEBHOOK_SECRET, WebhookReceiver } from "../support/webhook-receiver.js";

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

const NO_GRACE = { grace: "0" };
const GRACE = { grace: "100ms" };

/** A daemon with one webhook, and its receiver. */
async function startWithWebhook(t: TestContext, events: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const receiver = await WebhookReceiver.start();
  t.after(() => receiver.stop());
  const config = { events, "[webhook]": { url: receiver.url, secret: WEBHOOK_SECRET, ...more } };
  const pair = await startPair(t, { config, settings: { "limits.tick_timer": 1 } });
  return { receiver, pair };
}

const countOf = (events: readonly ReceivedEvent[], kind: string) => events.filter((it) => it.kind === kind).length;

/** The kinds of each session's events, in their order. */
function kindsBySession(events: readonly ReceivedEvent[]): string[] {
  const sessions = new Map<string, string[]>();
  for (const { session, kind } of events) sessions.set(session, [...(sessions.get(session) ?? []), kind]);
  return [...sessions.values()].map((kinds) => kinds.join(" "));
}

describe("Webhooks, end to end", () => {
  test("a page that is reloaded is no event; one that is closed is a disconnect", async (t) => {
    const { receiver, pair } = await startWithWebhook(t, { grace: "2s" });
    const first = await pair.stream();
    await receiver.until((events) => countOf(events, "connect") === 1, "the connect");
    await first.close();
    await pair.daemon.logged(({ event }) => event === "disconnect", "the disconnect");
    const second = await pair.stream();
    const from = pair.daemon.log.length;
    await second.close();
    await pair.daemon.logged(({ event }) => event === "disconnect", "the second disconnect", { from });
    await receiver.until((events) => countOf(events, "disconnect") === 1, "the disconnect");
    assert.deepEqual(kindsBySession(receiver.events), ["connect disconnect"]);
    assert.equal(receiver.events[0]?.ident, pair.mongrel2.sendIdent);
  });

  test("through kills of the daemon and a dead receiver every event arrives, in order for each client", async (t) => {
    const { receiver, pair } = await startWithWebhook(t, NO_GRACE);
    const staying = await Promise.all(Array.from({ length: 5 }, () => pair.stream()));
    await receiver.until((events) => countOf(events, "connect") === 5, "the first connects");
    await pair.aged(3);
    receiver.stop();
    const left: number[] = [];
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 30; number++) left.push(await visit(pair));
      await pair.daemon.kill9();
      await pair.restart();
    }
    await receiver.restart();
    await Promise.all(staying.map((stream) => stream.close()));
    const all = 5 + left.length;
    await receiver.until((events) => countOf(events, "disconnect") === all, "every disconnect", 60_000);
    const kinds = kindsBySession(receiver.events);
    assert.equal(kinds.length, all);
    // A client whose disconnect the killed daemon had not seen may have been adopted before it was found to be gone.
    for (const events of kinds) assert.match(events, /^connect( adopt)* disconnect$/);
    assert.equal(kinds.filter((events) => events.startsWith("connect adopt")).length, 5);
    const sequences = receiver.events.map(({ sequence }) => sequence);
    assert.deepEqual(
      sequences,
      sequences.map((_, at) => at + 1),
    );
  });

  test("SIGHUP changes the webhooks", async (t) => {
    const { receiver, pair } = await startWithWebhook(t, GRACE, { events: ["connect"] });
    const other = await WebhookReceiver.start();
    t.after(() => other.stop());
    await pair.stream();
    await receiver.until((events) => events.length === 1, "the connect");
    const toml = readFileSync(pair.daemon.configFile, "utf8");
    writeFileSync(pair.daemon.configFile, toml.replace(receiver.url, other.url));
    pair.daemon.signal("SIGHUP");
    await pair.daemon.logged(({ event }) => event === "reloaded", "the reload");
    await pair.stream();
    await other.until((events) => events.length === 1, "the second connect");
    assert.equal(receiver.events.length, 1);
  });
});

/** Opens and closes a stream; resolves with its connection when the daemon has seen both. */
async function visit(pair: Pair): Promise<number> {
  const from = pair.daemon.log.length;
  const stream = await pair.stream();
  await stream.close();
  const { client } = await pair.daemon.logged(({ event }) => event === "disconnect", "a disconnect", { from });
  return client as number;
}
