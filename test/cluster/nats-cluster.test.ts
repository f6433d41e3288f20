/** Three NATS servers that each hold the stream: one may be lost, or be slow. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { Publication } from "../../src/protocol/publication.js";
import { assertRising, dataOf, ids, type Listener, readAll, texts } from "../contract/bus.js";
import { type NatsServer, startNatsCluster } from "../support/nats.js";
import { assertOnce } from "../support/received.js";
import { daemon, load } from "./daemon.js";

async function leaderOf(servers: readonly NatsServer[]): Promise<NatsServer> {
  const connection = await connect({ servers: servers.map(({ url }) => url) });
  try {
    const { streams } = await jetstreamManager(connection);
    const { cluster } = await streams.info("test");
    const leader = servers.find(({ name }) => name === cluster?.leader);
    if (!leader) throw new Error(`the stream has no leader: ${JSON.stringify(cluster)}`);
    return leader;
  } finally {
    await connection.close();
  }
}

/**
 * NATS waits four to nine seconds before it elects another leader, of its cluster first and then of the stream, and again
 * when nobody was elected. Until then nobody hears anything.
 */
const ELECTIONS_MS = 60_000;

const has =
  ({ id }: Publication) =>
  ({ heard }: Listener) =>
    heard.some((publication) => publication.id === id);

/** Two daemons under load on three servers; `fault` happens to the stream's leader. */
async function survive(
  t: TestContext,
  fault: (leader: NatsServer, others: readonly NatsServer[]) => Promise<void> | void,
) {
  const servers = await startNatsCluster(t);
  const all = { replicas: 3, servers: servers.map(({ url }) => url) };
  const [a, b] = [await daemon(t, "", all), await daemon(t, "", all)];
  const loads = [load(a, "a"), load(b, "b")];
  t.after(() => Promise.all(loads.map((it) => it.stop())));
  await b.hears(300);
  const leader = await leaderOf(servers);
  const others = servers.filter((server) => server !== leader);
  await fault(leader, others);
  await b.hears(b.heard.length + 1000, ELECTIONS_MS);
  await a.hears(b.heard.length, ELECTIONS_MS);
  const acknowledged = (await Promise.all(loads.map((it) => it.stop()))).flat();
  await Promise.all([a.opened.up(), b.opened.up()]);
  const last = await a.publish("last");
  await Promise.all([a, b].map((it) => it.until(has(last), "the last", ELECTIONS_MS)));
  // What was refused for want of an answer may still come, after the last, to one of them sooner than to the other.
  const upToLast = ({ heard }: Listener) => texts(heard.slice(0, ids(heard).indexOf(last.id) + 1));
  const heard = new Set(upToLast(b));
  assert.deepEqual(upToLast(a), upToLast(b));
  assertOnce(dataOf(a.heard), "stored");
  assert.deepEqual(
    texts(acknowledged).filter((text) => !heard.has(text)),
    [],
  );
  assertRising(a.offsets);
  assert.deepEqual([a.gaps, b.gaps], [[], []]);
  const kept = await Promise.all([a, b].map(({ end }) => readAll(end)));
  for (const history of kept) assert.deepEqual(texts(history).slice(0, heard.size), upToLast(b));
}

describe("NATS cluster", () => {
  test("the stream's leader is killed under load: the others go on, and nothing acknowledged is lost", async (t) => {
    await survive(t, (leader) => leader.kill9());
  });

  /**
   * With NATS 2.9 the server that comes back holds other events than the others at the same sequences, eleven times of twenty-nine: who
   * followed the stream there missed up to a thousand that were acknowledged. A position is an id, so ids did not show it.
   */
  test("the stream's leader stops for a while under load, and comes back: nothing acknowledged is lost", async (t) => {
    await survive(t, async (leader, others) => {
      leader.suspend();
      t.after(() => leader.resume());
      // Until another is elected there is no answer.
      while (!(await leaderOf(others).catch(() => undefined)));
      leader.resume();
    });
  });
});
