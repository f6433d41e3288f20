/** Two machines that NATS joins, under load: what every browser has at the end, when one part or another is killed on the way. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { asTable } from "../../src/cli/status-command.js";
import type { Status } from "../../src/observability/admin/status.js";
import { conditionTexts } from "../../src/util/condition-texts.js";
import { Load, type Roamer, roamers, startNodes } from "../support/nodes.js";
import { serving } from "../support/pair.js";
import { readReceived } from "../support/received.js";
import { accessToAll, bearer, HUB, SECRET, SUBSCRIPTIONS } from "./mercure.js";

const CLIENTS = 50;
/** Events a second, at the two in turn. */
const RATE = 200;
/** What was under way when a daemon was killed may come twice: no more than one flush holds at this rate. */
const UNDER_WAY = 30;

async function start(t: TestContext) {
  const nodes = await startNodes(t);
  const { a, b } = nodes;
  const [atA, atB] = [await roamers(t, [a, b], CLIENTS), await roamers(t, [b, a], CLIENTS)];
  return { ...nodes, atA, atB, all: [...atA, ...atB], load: new Load([a, b], RATE) };
}

/** Asserts that all received every acknowledged event in the same order; resolves with the most repetitions at any one of them. */
async function verifyReceived(all: readonly Roamer[], load: Load): Promise<number> {
  const last = await load.end();
  await Promise.all(all.map((roamer) => roamer.until(() => roamer.ids.includes(last), `the last event, ${last}`)));
  const [first] = all;
  const order = readReceived(first?.ids ?? []).once;
  const has = new Set(order);
  assert.deepEqual(
    load.acknowledged.filter((id) => !has.has(id)),
    [],
    "acknowledged and not received",
  );
  let twice = 0;
  for (const { ids, gaps } of all) {
    assert.deepEqual(gaps, []);
    const { once, repeated } = readReceived(ids);
    assert.deepEqual(once, order, "the same in the same order");
    twice = Math.max(twice, repeated);
  }
  return twice;
}

const opens = (roamers: readonly Roamer[]) => [...new Set(roamers.map((it) => it.opens))];

describe("Cluster, end to end", () => {
  test("what is published at two machines arrives at the browsers of both in the same order, once", async (t) => {
    const { all, load } = await start(t);
    await load.more(1000);
    assert.equal(await verifyReceived(all, load), 0);
    assert.deepEqual([opens(all), [...load.refused]], [[1], []]);
  });

  test("a daemon is killed under load and started again: its browsers do not notice, and nothing is missing", async (t) => {
    const { a, atA, atB, all, load } = await start(t);
    await load.more(200);
    await a.aged(3);
    await a.daemon.kill9();
    await load.more(200);
    await a.restart();
    await load.more(400);
    const twice = await verifyReceived(all, load);
    assert.ok(twice <= UNDER_WAY, `${twice} came twice`);
    assert.deepEqual([opens(atA), opens(atB)], [[1], [1]]);
    assert.equal(a.daemon.log.filter(({ event }) => event === "adopt").length, CLIENTS);
  });

  test("NATS is killed under load and started again: nothing that was acknowledged is missing, nobody is cut off", async (t) => {
    const { nats, all, load } = await start(t);
    await load.more(200);
    await nats.kill9();
    await nats.start();
    await load.more(400);
    assert.equal(await verifyReceived(all, load), 0);
    assert.deepEqual(opens(all), [1]);
  });

  test("a Mongrel2 is killed under load: its browsers go on at the other machine from their last id, once", async (t) => {
    const { a, atA, atB, all, load } = await start(t);
    await load.more(200);
    await a.mongrel2.kill9();
    await load.more(300);
    assert.equal(await verifyReceived(all, load), 0);
    assert.deepEqual([opens(atA), opens(atB)], [[2], [1]]);
  });

  test("a machine that comes back after a fault of its daemon and of its Mongrel2 serves what came meanwhile", async (t) => {
    const { a, b } = await startNodes(t);
    const [early] = await roamers(t, [a], 1);
    const load = new Load([b], RATE);
    await load.more(100);
    await a.daemon.kill9();
    await a.mongrel2.kill9();
    await load.more(300);
    await a.mongrel2.start();
    await a.restart();
    await serving(a.daemon);
    assert.equal(await verifyReceived([early as Roamer], load), 0);
    assert.deepEqual(early?.opens, 2);
  });

  test("each daemon tells of the other: who is there, how far it is, who is subscribed; and of NATS when it is away", async (t) => {
    const tables = { admin: { listen: "127.0.0.1:0" }, auth: { subscriber_key: SECRET, anonymous: true } };
    const { nats, a, b } = await startNodes(t, tables);
    const { admin } = await a.daemon.logged(({ event }) => event === "started", "the daemon to start");
    const status = async () => (await (await fetch(`${admin}/status`)).json()) as Status;
    const until = async (look: () => Promise<boolean>) => {
      while (!(await look())) await pause(50);
    };
    const headers = bearer(await accessToAll());
    const subscribed = async () => (await fetch(`${a.mongrel2.url}${SUBSCRIPTIONS}`, { headers })).text();
    await b.stream({}, `${HUB}?match=there`);
    await until(async () => (await status()).nodes?.[1]?.clients === 1);
    assert.deepEqual(
      (await status()).nodes?.map(({ mongrel2 }) => mongrel2),
      [
        { total: 1, live: 1 },
        { total: 1, live: 1 },
      ],
    );
    await until(async () => (await subscribed()).includes('"there"'));
    const table = asTable(await status(), Date.now());
    assert.match(table, /^NODE +CLIENTS +POSITION +LAG +HEARD\n\S+ +0 +\d+ +0 +itself\n\S+ +1 +\d+ +0 +\d\.\d s$/m);
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    assert.match(metrics, /^m2push_cluster_nodes 2$/m);
    await b.daemon.stop();
    await until(async () => (await status()).nodes?.length === 1);
    assert.doesNotMatch(await subscribed(), /"there"/);
    await nats.kill9();
    await until(async () => (await fetch(`${admin}/readyz`)).status === 503);
    assert.ok((await status()).notReadyReasons.join().includes(conditionTexts.clusterUnavailable("").message));
    await nats.start();
    await until(async () => (await fetch(`${admin}/readyz`)).status === 200);
  });
});
