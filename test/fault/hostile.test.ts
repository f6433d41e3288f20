/**
 * Clients that mean harm, through a real Mongrel2 whose limits are opened wide, so that what it would refuse by itself
 * reaches the daemon. What the attackers are answered is asserted, and that the others notice nothing; how long events
 * took before and meanwhile is told with each test.
 */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "node:test";
import type { Daemon } from "../support/daemon.js";
import { ATTACKER, besieged, OTHERS } from "../support/siege.js";
import type { RawConnection } from "../support/sse-client.js";

/** Of Mongrel2, for the head of a request; its default is 4096 bytes. */
const WIDE = { "limits.buffer_size": 262_144, "limits.content_length": 327_680, "limits.header_count": 5_000 };
const STREAM = "GET /esupdates HTTP/1.1\r\nHost: localhost\r\n";
const HUB = "/.well-known/mercure";

const many = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));

/** Resolves with its status once a connection was answered; "" when it was closed without an answer. */
async function statusOf(connection: RawConnection): Promise<string> {
  const status = () => /^HTTP\/1\.1 (\d{3})/.exec(connection.text)?.[1];
  await connection.until(() => connection.isClosed || status() !== undefined, "a status");
  return status() ?? "";
}

/** How many connections were answered how. */
async function statusesOf(connections: readonly RawConnection[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const status of await Promise.all(connections.map(statusOf))) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** Lines of the log about the attackers. */
const linesOf = ({ log }: Daemon, event: "client_connected" | "client_disconnected") =>
  log.filter((line) => line.event === event && line.remote === ATTACKER).length;

describe("Hostile, under faults", () => {
  besieged("three hundred requests that come a byte at a time", {}, async ({ pair, rounds, connect }) => {
    const openers = many(300, () => connect());
    const drip = async (to: readonly RawConnection[], bytes: string) => {
      for (const opener of to) opener.write(bytes);
      await rounds.more(10);
    };
    await drip(openers, STREAM);
    await drip(openers, "X-A: b\r\n");
    assert.ok(openers.every(({ received, isClosed }) => received.length === 0 && !isClosed));
    assert.equal(linesOf(pair.daemon, "client_connected"), 0);
    const [finishing, endless] = [openers.slice(0, 100), openers.slice(100)];
    await drip(finishing, "\r\n");
    assert.deepEqual(await statusesOf(finishing), { 200: 100 });
    // Mongrel2 takes a head in a few pieces at most (limits.client_read_retries); bytes that meet on the way are one piece.
    for (let left = endless; left.length > 0; left = left.filter((it) => !it.isClosed)) await drip(left, "X");
    assert.equal(linesOf(pair.daemon, "client_connected"), 100);
    for (const opener of finishing) opener.reset();
  });

  besieged(
    "five hundred streams that are reset as soon as they are asked for",
    {},
    async ({ pair, rounds, connect }) => {
      for (let wave = 0; wave < 10; wave++) {
        const openers = many(50, () => connect());
        for (const opener of openers) opener.write(`${STREAM}\r\n`);
        await openers[0]?.until(({ text }) => text !== "", "the first answer");
        for (const opener of openers) opener.reset();
        await rounds.more(5);
      }
      // The last one to come is the last to be waited for: then those before it have all been told as gone, or never came.
      const marker = connect();
      marker.write(`${STREAM}\r\n`);
      await statusOf(marker);
      marker.close();
      const isEmpty = () => linesOf(pair.daemon, "client_connected") === linesOf(pair.daemon, "client_disconnected");
      await pair.daemon.logged(() => linesOf(pair.daemon, "client_connected") > 10 && isEmpty(), "the end of them all");
    },
  );

  besieged("Last-Event-IDs of 60,000 characters", { settings: WIDE }, async ({ rounds, connect }) => {
    const ids = ["9".repeat(60_000), `a.${"9".repeat(60_000)}`, `${"a".repeat(60_000)}.1`, "\t\x01é ".repeat(15_000)];
    const headers = many(40, (at) => `${STREAM}Last-Event-ID: ${ids[at % ids.length]}\r\n\r\n`);
    const queries = many(40, (at) => {
      const [name, id] = [at % 2 ? "lastEventID" : "last_event_id", encodeURIComponent(ids[at % 3] ?? "")];
      return `GET /esupdates?${name}=${id} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    });
    const clients = [...headers, ...queries].map((head) => {
      const client = connect();
      client.write(Buffer.from(head, "latin1"));
      return client;
    });
    await rounds.more(20);
    assert.deepEqual(await statusesOf(clients), { 200: 80 });
    await Promise.all(clients.map((it) => it.until(({ text }) => text.includes('"reason":"unknown"'), "the gap")));
    for (const { text } of clients) assert.ok(text.length < 2_000_000 && !text.includes("9".repeat(1_000)));
  });

  besieged("ten thousand selectors in one request", { settings: WIDE }, async ({ rounds, connect }) => {
    const query = (name: string, count: number, value: (at: number) => string) =>
      many(count, (at) => `${name}=${value(at)}`).join("&");
    const get = (target: string) => `GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const post = (body: string) =>
      `POST ${HUB} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const short = (at: number) => `t${at}`;
    const ask = (requests: readonly string[]) =>
      requests.map((request) => {
        const client = connect();
        client.write(request);
        return client;
      });
    const refused = ask([
      ...many(10, () => get(`/esupdates?${query("topic", 10_000, short)}`)),
      ...many(10, () => get(`${HUB}?${query("topic", 10_000, short)}`)),
      ...many(10, () => get(`${HUB}?${query("match", 10_000, short)}`)),
      ...many(10, () => get(`${HUB}?${query("match_urlpattern", 3_900, (at) => `/:a${at}/*`)}`)),
      ...many(10, () => get(`${HUB}?${query("topic", 101, short)}`)),
      ...many(10, () => get(`${HUB}?${query("topic", 10, (at) => `${at}${"x".repeat(4_000)}`)}`)),
    ]);
    await rounds.more(20);
    assert.deepEqual(await statusesOf(refused), { 400: 60 });
    const publishers = ask(many(10, () => post(`${query("topic", 10_000, short)}&data=x`)));
    await rounds.more(5);
    assert.deepEqual(await statusesOf(publishers), { 401: 10 });
    const greedy = ask(many(30, (client) => get(`${HUB}?${query("topic", 100, (at) => `c${client}-${at}/%7Bx%7D`)}`)));
    await rounds.more(20);
    assert.deepEqual(await statusesOf(greedy), { 200: 30 });
  });

  besieged("header bombs", { settings: WIDE }, async ({ rounds, connect }) => {
    const bombs = [
      many(4_000, (at) => `X-${at}: ${at}\r\n`).join(""),
      many(4_000, () => "X-Same: again\r\n").join(""),
      `X-Tabs: ${"\t".repeat(200_000)}\r\n`,
      `X-Control: ${"\x01\x02\x08\x0b\x1f".repeat(40_000)}\r\n`,
      // Not many: Mongrel2 escapes these in a time that grows with their square (0.1 s for 15,000).
      `X-Quotes: ${'"\\'.repeat(2_000)}\r\n`,
      `X-Bytes: ${"\xff\xed\xa0\x80".repeat(50_000)}\r\n`,
      "__proto__: x\r\nconstructor: y\r\ntoString: z\r\nhasOwnProperty: 1\r\n".repeat(500),
      `X-Nest: ${'{"a":['.repeat(30_000)}\r\n`,
      `Cookie: ${"mercureAuthorization=x.y.z; ".repeat(7_000)}\r\n`,
      `Accept: ${",".repeat(200_000)}\r\n`,
    ];
    const clients = many(3, () => bombs)
      .flat()
      .map((bomb) => {
        const client = connect();
        client.write(Buffer.from(`${STREAM}${bomb}\r\n`, "latin1"));
        return client;
      });
    await rounds.more(20);
    // A cookie that is no token is refused.
    assert.deepEqual(await statusesOf(clients), { 200: 27, 401: 3 });
    const tooLarge = connect();
    tooLarge.write(`${STREAM}X-Large: ${"x".repeat(300_000)}\r\n\r\n`);
    assert.match(await statusOf(tooLarge), /^(400)?$/);
  });

  const SOCKETS = [{ routes: ["/esupdates()$", "@chat", "<test", "@*"] }];
  besieged("forged notices that others have gone", { handlers: SOCKETS }, async ({ pair, rounds, connect }) => {
    const gone = '{"type":"disconnect"}';
    const length = `Content-Length: ${gone.length}\r\n`;
    const forged = [
      `@chat ${gone}\0`,
      `@chat* ${gone}\0`,
      `@* ${gone}\0`,
      `@chat {"type":"credits"}\0`,
      `<test type="disconnect"/>\0`,
      `JSON /esupdates HTTP/1.1\r\nHost: localhost\r\n${length}\r\n${gone}`,
      `POST /esupdates HTTP/1.1\r\nHost: localhost\r\nMETHOD: JSON\r\nPATH: @*\r\n${length}\r\n${gone}`,
      `${STREAM}METHOD: JSON\r\nPATH: @*\r\nDOWNLOAD_CREDITS: 1\r\nFLAGS: 0x88\r\n\r\n`,
      `${STREAM}\r\n@* ${gone}\0`,
    ];
    const from = pair.daemon.log.length;
    const clients = many(10, () => forged)
      .flat()
      .map((bytes) => {
        const client = connect();
        client.write(bytes);
        return client;
      });
    await rounds.more(50);
    await Promise.all(
      clients.map((it) => it.until(({ isClosed, text }) => isClosed || text !== "", "an end or an answer")),
    );
    for (const client of clients) client.close();
    const told = pair.daemon.log
      .slice(from)
      .filter(({ event, remote }) => event === "client_disconnected" && remote !== ATTACKER);
    assert.deepEqual(told, []);
  });

  const PER_ADDRESS = 40;
  const LIMITED = { config: { stream: { max_per_address: PER_ADDRESS } } };
  besieged("three hundred streams from one address", LIMITED, async ({ pair, rounds, connect }) => {
    const open = (from?: string) => {
      const client = connect(from);
      client.write(`${STREAM}\r\n`);
      return client;
    };
    const clients = many(300, () => open());
    await rounds.more(20);
    assert.deepEqual(await statusesOf(clients), { 200: PER_ADDRESS, 429: 300 - PER_ADDRESS });
    const refused = clients.filter(({ text }) => text.startsWith("HTTP/1.1 429"));
    for (const { text } of refused) assert.match(text, /^Retry-After: 5\r$/m);
    assert.equal(await statusOf(open("127.0.0.77")), "200");
    const from = pair.daemon.log.length;
    for (const client of clients) client.close();
    await pair.daemon.logged(
      ({ event, clients }) => event === "client_disconnected" && clients === OTHERS + 1,
      "the attackers to be gone",
      { from },
    );
    assert.equal(await statusOf(open()), "200");
  });

  const TEMPORARY = { settings: { "upload.temp_store": "tmp/XXXXXX", "limits.content_length": 20_480 } };
  besieged("uploads, real and pretended", TEMPORARY, async ({ pair, rounds, connect }) => {
    const precious = join(pair.mongrel2.dir, "precious");
    writeFileSync(precious, "mine");
    const head = (...headers: string[]) =>
      [`POST ${HUB} HTTP/1.1`, "Host: localhost", ...headers].map((line) => `${line}\r\n`).join("");
    const named = [`X-Mongrel2-Upload-Start: ${precious}`, `X-Mongrel2-Upload-Done: ${precious}`];
    const pretended = many(10, () => {
      const client = connect();
      client.write(`${head(...named, "Content-Length: 0")}\r\n`);
      return client;
    });
    const slow = many(10, () => connect());
    for (const client of slow) client.write(`${head("Content-Length: 1000000")}\r\n`);
    const large = many(10, () => {
      const client = connect();
      client.write(`${head("Content-Length: 500000")}\r\n${"u".repeat(500_000)}`);
      return client;
    });
    for (let piece = 0; piece < 5; piece++) {
      for (const client of slow) client.write("s".repeat(100));
      await rounds.more(10);
    }
    assert.deepEqual(await statusesOf([...pretended, ...large]), { 413: 20 });
    assert.equal(readFileSync(precious, "utf8"), "mine");
  });
});
