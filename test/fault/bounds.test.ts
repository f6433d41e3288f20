/**
 * What strangers cause, and what operators ask for meanwhile, is bounded: through a real Mongrel2, with others beside who hear every
 * event in order on their first connection. The table in docs/threat-model.md names these tests.
 */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { GREETING, partsFrame, readyFrame } from "../../src/protocol/zmtp.js";
import { accessToAll, bearer, form, HUB, oldForAll, SECRET, SUBSCRIPTIONS } from "../e2e/mercure.js";
import { ATTACKER, besieged, OTHERS, type Siege } from "../support/siege.js";
import { openStream, RawConnection } from "../support/sse-client.js";

const many = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const numbers = many(100, (at) => at);
const CONFIG = { auth: { publisher_key: SECRET }, admin: { listen: "127.0.0.1:0" } };
/** Others come from one address, too. */
const LIMITS = { max_clients: OTHERS + 26, max_per_address: OTHERS + 1 };

interface Status {
  readonly history: { readonly last: number; readonly count: number };
}

/** The URL of the daemon's admin address. */
async function adminOf({ pair }: Siege): Promise<string> {
  const { admin } = await pair.daemon.logged(({ event }) => event === "started", "the start");
  return String(admin);
}

async function statusOf(connection: RawConnection): Promise<string> {
  const status = () => /^HTTP\/1\.1 (\d{3})/.exec(connection.text)?.[1];
  await connection.until(() => connection.isClosed || status() !== undefined, "a status");
  return status() ?? "";
}

/** Opens a stream of a hundred topics; `name` makes them others' than those of any other visit. */
function visit({ connect }: Siege, name: string): RawConnection {
  const body = form({ match: numbers.map((at) => `${name}/${at}`) });
  const visitor = connect();
  visitor.write(
    `QUERY ${HUB} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
  );
  return visitor;
}

describe("Bounds, under faults", () => {
  besieged("three hundred publishers that flood", { config: CONFIG }, async ({ pair, rounds }) => {
    // Private, so that none of the others gets them.
    const parts = ["flood", "x".repeat(80), '{"private":true}'].map((part) => Buffer.from(part));
    const flood = Buffer.concat(many(600, () => partsFrame(parts)));
    const port = Number(pair.publishSpec.split(":").at(-1));
    const publishers = many(300, () => new RawConnection(port, ATTACKER));
    for (const publisher of publishers) publisher.write(Buffer.concat([GREETING, readyFrame("PUSH"), flood]));
    await rounds.more(20);
    await Promise.all(publishers.map((it) => it.until(({ text }) => text.includes("PULL"), "the server's READY")));
    for (const publisher of publishers) publisher.close();
  });

  const BATCHES = { config: CONFIG, settings: { "limits.content_length": 327_680 } };
  besieged("eight publishers of batches with keys", BATCHES, async ({ pair, rounds }) => {
    const headers = { ...bearer(await oldForAll()), "content-type": "application/json" };
    const batch = (name: string) =>
      JSON.stringify(many(900, (at) => ({ topic: "t", data: "x".repeat(150), private: true, key: `${name} ${at}` })));
    const publish = async (name: string) => {
      const response = await fetch(`${pair.mongrel2.url}${HUB}`, { method: "POST", headers, body: batch(name) });
      await response.text();
      return response.status;
    };
    const publishing = many(8, async (at) => [await publish(`${at} a`), await publish(`${at} b`)]);
    await rounds.more(10);
    assert.deepEqual(new Set((await Promise.all(publishing)).flat()), new Set([200]));
  });

  besieged(
    "six hundred connections of a hundred topics each while an observer watches",
    { config: CONFIG },
    async (siege) => {
      const { pair, rounds } = siege;
      const watch = form({ match_urlpattern: `${SUBSCRIPTIONS}/:type/:match/:subscriber` });
      const headers = bearer(await accessToAll());
      const watcher = await openStream(`${pair.mongrel2.url}${HUB}?${watch}`, headers);
      for (let wave = 0; wave < 60; wave++) {
        const visitors = many(10, (at) => visit(siege, `${wave}-${at}`));
        await Promise.all(visitors.map(statusOf));
        for (const visitor of visitors) visitor.close();
        await rounds.more(1);
      }
      const { last, count } = ((await (await fetch(`${await adminOf(siege)}/status`)).json()) as Status).history;
      assert.equal(count, last);
      const events = watcher.events.length;
      assert.ok(events > 0 && events <= 120_000);
      // A watcher that fell behind is told of a gap in which this visit may lie; then another one comes.
      for (let told = "m2push-gap"; told === "m2push-gap"; ) {
        const late = visit(siege, "late");
        const event = await watcher.next(
          ({ type, data }) => type === "m2push-gap" || data.includes('"match":"late/99"'),
        );
        told = event.type;
        late.close();
      }
      await watcher.close();
      assert.ok(last < 1000, `${last} positions: only those of the events that were published`);
    },
  );

  besieged(
    "sixty requests at a time with tokens, at limits of all and of an address",
    { config: { ...CONFIG, stream: LIMITS } },
    async (siege) => {
      const { connect, pair, rounds } = siege;
      const token = bearer(await oldForAll()).authorization;
      const all: RawConnection[] = [];
      for (const from of [ATTACKER, "127.0.0.67"]) {
        const requests = many(60, () => connect(from));
        for (const request of requests) {
          request.write(`GET ${HUB}?topic=x HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${token}\r\n\r\n`);
        }
        all.push(...requests);
        const statuses = await Promise.all(requests.map(statusOf));
        const opened = statuses.filter((status) => status === "200").length;
        assert.equal(opened, from === ATTACKER ? OTHERS + 1 : 5, String(statuses));
        await rounds.more(5);
      }
      const from = pair.daemon.log.length;
      for (const request of all) request.close();
      await pair.daemon.logged(({ event, clients }) => event === "disconnect" && clients === OTHERS, "their end", {
        from,
      });
    },
  );

  besieged(
    "four hundred streams of a hundred topics, while operators list and end them",
    { config: CONFIG },
    async (siege) => {
      const { pair, rounds } = siege;
      const admin = await adminOf(siege);
      const visitors = many(400, (at) => visit(siege, `${at}`));
      await Promise.all(visitors.map(statusOf));
      const reader = bearer(await accessToAll());
      const lists = many(8, async () => {
        const response = await fetch(`${pair.mongrel2.url}${SUBSCRIPTIONS}`, { headers: reader });
        const { subscriptions } = (await response.json()) as { subscriptions: readonly unknown[] };
        return subscriptions.length;
      });
      await rounds.more(20);
      assert.deepEqual(new Set(await Promise.all(lists)), new Set([40_000]));
      const pages = many(
        8,
        async () => ((await (await fetch(`${admin}/clients?limit=1000`)).json()) as { total: number }).total,
      );
      await rounds.more(5);
      assert.deepEqual(new Set(await Promise.all(pages)), new Set([400 + OTHERS]));
      const kick = (topic: string) =>
        fetch(`${admin}/disconnect?topic=${encodeURIComponent(topic)}`, { method: "POST" });
      const kicks = many(
        8,
        async (at) => ((await (await kick(`${at}/5`)).json()) as { disconnected: number }).disconnected,
      );
      await rounds.more(5);
      assert.deepEqual(
        await Promise.all(kicks),
        many(8, () => 1),
      );
    },
  );
});
