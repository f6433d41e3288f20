/** Three NATS servers that each hold the stream: one may be lost, or be slow. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { Publication } from "../../src/protocol/publication.js";
import { assertRising, ids, type Listener } from "../contract/bus.js";
import { type NatsServer, startNatsCluster } from "../support/nats.js";
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

type Daemon = Awaited<ReturnType<typeof daemon>>;

const told = ({ gaps }: Listener) => gaps.length > 0;

const has =
  ({ id }: Publication) =>
  ({ heard }: Listener) =>
    heard.some((publication) => publication.id === id);

/** The stream was given a new epoch: all are told, there is a warning, and it goes on. */
async function survivesLoss(a: Daemon, b: Daemon): Promise<void> {
  await Promise.all([a, b].map((it) => it.until(told, "a gap", ELECTIONS_MS)));
  for (const { gaps } of [a, b]) assert.deepEqual([...new Set(gaps)], ["unknown"]);
  const warnings = [a, b].flatMap(({ opened }) => opened.warnings);
  assert.match(warnings.join("\n"), /lost events that it had acknowledged: it begins a new epoch/);
  await Promise.all([a.opened.up(), b.opened.up()]);
  const after = await a.publish("after");
  await Promise.all([a, b].map((it) => it.until(has(after), "the next", ELECTIONS_MS)));
}

/**
 * Two daemons under load on three servers; `fault` happens to the stream's leader. `mayDiffer`: the leader comes back, and may
 * then hold the stream otherwise than the others (seen with NATS 2.9, one time in ten): all being told of it is survival, too.
 */
async function survive(
  t: TestContext,
  fault: (leader: NatsServer, others: readonly NatsServer[]) => Promise<void> | void,
  mayDiffer: boolean,
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
  const differs = (it: Listener) => mayDiffer && told(it);
  await Promise.all([a, b].map((it) => it.until(() => has(last)(it) || differs(it), "the last", ELECTIONS_MS)));
  if (differs(a) || differs(b)) {
    await survivesLoss(a, b);
    return;
  }
  // What was refused for want of an answer may still come, after the last, to one of them sooner than to the other.
  const upToLast = ({ heard }: Listener) => ids(heard).slice(0, ids(heard).indexOf(last.id) + 1);
  const heard = new Set(upToLast(b));
  assert.deepEqual(upToLast(a), upToLast(b));
  assert.deepEqual(
    acknowledged.filter(({ id }) => !heard.has(id)),
    [],
  );
  assertRising(a.offsets);
  assert.deepEqual([a.gaps, b.gaps], [[], []]);
}

test("the stream's leader is killed under load: the others go on, and nothing acknowledged is lost", async (t) => {
  await survive(t, (leader) => leader.kill9(), false);
});

test("the stream's leader stops for a while under load, and comes back: nothing acknowledged is lost", async (t) => {
  await survive(
    t,
    async (leader, others) => {
      leader.suspend();
      t.after(() => leader.resume());
      // Until another is elected there is no answer.
      while (!(await leaderOf(others).catch(() => undefined)));
      leader.resume();
    },
    true,
  );
});
