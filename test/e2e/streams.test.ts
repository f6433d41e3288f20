/** Topics that change on an open stream, through a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { StreamEvent } from "../support/event-stream.js";
import { startNodes } from "../support/nodes.js";
import { type Pair, startPair } from "../support/pair.js";
import type { SseClient } from "../support/sse-client.js";

const HUB = "/.well-known/mercure";
/** So that Mongrel2's clock shows soon who has been there for how long. */
const settings = { "limits.tick_timer": 1 };

async function open(pair: Pair, path: string): Promise<{ client: SseClient; name: string }> {
  const client = await pair.stream({}, path);
  const name = String(client.headers["m2push-stream"]);
  assert.equal(client.openings[0]?.data, JSON.stringify({ stream: name }));
  return { client, name };
}

const patch = (pair: Pair, name: string, body: string) =>
  fetch(`${pair.mongrel2.url}${HUB}/streams/${name}`, { method: "PATCH", body: new URLSearchParams(body) });

/** Changes a stream, and resolves with the position from which that holds. */
async function change(pair: Pair, name: string, body: string): Promise<string> {
  const response = await patch(pair, name, body);
  assert.equal(response.status, 200);
  return ((await response.json()) as { position: string }).position;
}

const pick = ({ type, id }: StreamEvent) => [type, id];

describe("Streams whose topics change, end to end", () => {
  test("topics are added and removed at a position, also after the daemon was killed and started again", async (t) => {
    const pair = await startPair(t, { settings, handlers: [{ routes: ["/esupdates", HUB] }] });
    const plain = await open(pair, "/esupdates?topic=a&control=1");
    const mercure = await open(pair, `${HUB}?match=a&control=1`);
    for (const { client, name } of [plain, mercure]) {
      const position = await change(pair, name, "add=b&remove=a");
      const { type, id } = await client.next();
      assert.deepEqual([type, id], ["m2push-topics", position]);
    }
    for (const topic of ["a", "b", "c"]) await pair.publisher.publish(`1 ${topic}`, topic);
    for (const { client } of [plain, mercure]) assert.equal((await client.next()).data, "1 b");
    await pair.aged(3);
    await pair.daemon.kill9();
    await pair.restart();
    await pair.daemon.logged(({ event }) => event === "adoption_completed", "the adoption");
    for (const topic of ["a", "b", "c"]) await pair.publisher.publish(`2 ${topic}`, topic);
    for (const { client } of [plain, mercure]) assert.equal((await client.next()).data, "2 b");
    for (const { client, name } of [plain, mercure]) {
      await change(pair, name, "add=c");
      assert.equal((await client.next()).type, "m2push-topics");
    }
    for (const topic of ["a", "b", "c"]) await pair.publisher.publish(`3 ${topic}`, topic);
    for (const { client } of [plain, mercure])
      assert.deepEqual([(await client.next()).data, (await client.next()).data], ["3 b", "3 c"]);
  });

  test("any machine takes a change, and hands it to the one that serves the stream", async (t) => {
    const { a, b } = await startNodes(t);
    const { client, name } = await open(a, `${HUB}?topic=a&control=1`);
    const position = await change(b, name, "add=b");
    assert.deepEqual(pick(await client.next()), ["m2push-topics", position]);
    await b.publisher.publish("1", "b");
    assert.equal((await client.next()).data, "1");
    const bad = await patch(b, name, "add_urlpattern=/x");
    assert.deepEqual([bad.status, /draft-08/.test(await bad.text())], [400, true]);
    await a.aged(3);
    await a.daemon.kill9();
    const unanswered = await patch(b, name, "add=c");
    assert.deepEqual([unanswered.status, unanswered.headers.get("retry-after")], [503, "1"]);
    await a.restart();
    await a.daemon.logged(({ event }) => event === "adoption_completed", "the adoption");
    await change(b, name, "add=c");
    await b.publisher.publish("2", "c");
    assert.deepEqual([pick(await client.next())[0], (await client.next()).data], ["m2push-topics", "2"]);
  });

  test("a stranger's name is not found, and a client that reconnects has a new name and its address's topics", async (t) => {
    const pair = await startPair(t, { handlers: [{ routes: ["/esupdates", HUB] }] });
    assert.equal((await patch(pair, "x".repeat(22), "add=b")).status, 404);
    const first = await open(pair, "/esupdates?topic=a&control=1");
    await change(pair, first.name, "add=b");
    const { lastEventId } = first.client;
    await first.client.close();
    await pair.daemon.logged(({ event }) => event === "disconnect", "the disconnect");
    assert.equal((await patch(pair, first.name, "add=b")).status, 404);
    await pair.publisher.publish("b", "b");
    await pair.publisher.publish("a", "a");
    const path = `/esupdates?topic=a&control=1&lastEventID=${encodeURIComponent(lastEventId)}`;
    const second = await open(pair, path);
    assert.notEqual(second.name, first.name);
    assert.equal((await second.client.next()).data, "a");
    const logged = JSON.stringify(pair.daemon.log);
    for (const { name } of [first, second]) assert.ok(!logged.includes(name), "a name is not logged");
  });
});
