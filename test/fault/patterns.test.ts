/**
 * Patterns that are made to be expensive, through a real Mongrel2, while others listen. Before there were limits one request with
 * sets of emoji stopped everything for 4 to 7 s, and 150 streams made each event 4.5 s late.
 */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { ATTACKER, besieged } from "../support/siege.js";
import type { RawConnection } from "../support/sse-client.js";

const HUB = "/.well-known/mercure";
const WIDE = { "limits.buffer_size": 262_144, "limits.content_length": 327_680 };
/** An event to all others may take so long on a machine with other work, milliseconds; without limits it takes far longer. */
const LATE_MS = 1_000;

const many = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const query = (patterns: readonly string[]) =>
  patterns.map((it) => `match_urlpattern=${encodeURIComponent(it)}`).join("&");
const get = (patterns: readonly string[]) => `GET ${HUB}?${query(patterns)} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

async function statusOf(connection: RawConnection): Promise<string | undefined> {
  const status = () => /^HTTP\/1\.1 (\d{3})/.exec(connection.text)?.[1];
  await connection.until(() => connection.isClosed || status() !== undefined, "a status");
  return status();
}

function post(patterns: readonly string[]): string {
  const body = query(patterns);
  const head = `QUERY ${HUB} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n`;
  return `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
}

describe("Patterns, under faults", () => {
  besieged("fifty requests with 1,500 sets of emoji each", { settings: WIDE }, async ({ rounds, connect }) => {
    const emoji = (seed: string) =>
      many(100, (n) => `/${n}(${many(15, (m) => `[\\p{RGI_Emoji}${seed}${m}]`).join("")})`);
    const statuses = new Set<string | undefined>();
    for (let at = 0; at < 50; at++) {
      const connection = connect();
      connection.write(post(emoji(String.fromCharCode(65 + at))));
      statuses.add(await statusOf(connection));
    }
    assert.deepEqual([...statuses], ["400"]);
    await rounds.more(1);
    assert.ok(Math.max(...rounds.delays()) < LATE_MS);
  });

  besieged("120 streams with thirty slow patterns each, and new topics", {}, async ({ pair, rounds, connect }) => {
    const slow = (seed: number) =>
      many(30, (n) => `((?:.?){100})://((?:.?){${150 + ((seed * 30 + n) % 90)}})/((?:.?){${150 + n}}[Z${seed}])`);
    const streams = many(120, (at) => {
      const stream = connect();
      stream.write(get(slow(at)));
      return stream;
    });
    assert.deepEqual(new Set(await Promise.all(streams.map(statusOf))), new Set(["200"]));
    for (let n = 0; n < 20; n++) {
      const topic = `https://example.com/users/${n}/${"x".repeat(150)}`;
      await pair.publisher.publish("to nobody", topic, { private: true });
      await rounds.more(2);
    }
    assert.ok(Math.max(...rounds.delays()) < LATE_MS);
    assert.ok(pair.daemon.log.every(({ event, remote }) => event !== "client_disconnected" || remote === ATTACKER));
  });
});
