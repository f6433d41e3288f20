/** Events that are taken back in a cluster: from every machine, from one that starts again or comes later, and from the files of NATS. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startNodes } from "../support/nodes.js";
import type { Pair } from "../support/pair.js";
import { HUB } from "./mercure.js";

const SECRET = "Ada Lovelace, 12 St James's Square";

/** Everything that is below a folder. */
function bytesIn(folder: string): Buffer {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((it) => it.isFile());
  return Buffer.concat(files.map(({ parentPath, name }) => readFileSync(join(parentPath, name))));
}

async function publish(node: Pair, topic: string, data: string, id?: string): Promise<string> {
  const body = new URLSearchParams({ topic, data, ...(id !== undefined && { id }) });
  const response = await fetch(node.mongrel2.url + HUB, { method: "POST", body });
  assert.equal(response.status, 200);
  return response.text();
}

/** Everything that a browser gets that has got the event with this id. */
async function replayed(node: Pair, lastEventId: string, count: number): Promise<string[]> {
  const stream = await node.stream({ "last-event-id": lastEventId });
  await stream.until(({ events }) => events.length >= count, `${count} events`);
  await stream.close();
  return stream.events.map(({ type, data }) => (type === "m2push-gap" ? type : data));
}

describe("Removal in a cluster", () => {
  test("what one machine is asked to remove is gone at all of them, and its id is a position still", async (t) => {
    const { nats, a, b, join: joinNode } = await startNodes(t);
    const first = await publish(a, "people/1", SECRET);
    await publish(b, "people/1", SECRET, "urn:second");
    await publish(a, "news", "stays");
    await publish(b, "people/1", `${SECRET} again`);
    await publish(b, "news", "stays, too");
    assert.ok(bytesIn(nats.dir).includes(SECRET), "the test finds it while it is stored");

    const answer = await fetch(`${b.mongrel2.url}${HUB}?topic=people/1`, { method: "DELETE" });
    assert.deepEqual([answer.status, await answer.json()], [200, { removed: 3 }]);
    const again = await fetch(`${b.mongrel2.url}${HUB}?topic=people/1`, { method: "DELETE" });
    assert.equal(again.status, 404);
    const left = ["stays", "stays, too"];
    assert.deepEqual(await replayed(b, first, 2), left);
    while (bytesIn(nats.dir).includes(SECRET)) await pause(20);
    await publish(a, "news", "later");
    const all = [...left, "later"];
    for (const id of [first, "urn:second", "earliest"]) assert.deepEqual(await replayed(a, id, 3), all);

    await a.daemon.stop("SIGTERM");
    await a.restart();
    for (const node of [a, b, await joinNode()])
      for (const id of [first, "urn:second", "earliest"]) assert.deepEqual(await replayed(node, id, 3), all);
    const levels = new Set([a, b].flatMap(({ daemon }) => daemon.log.map(({ level }) => level)));
    assert.deepEqual([...levels], ["info"], "no warning");
  });
});
