/** The admin address of a real daemon beside a real Mongrel2, and the two commands that ask it. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { addDoctor } from "../../src/cli/doctor-command.js";
import { addStatus } from "../../src/cli/status-command.js";
import type { ClientPage, ClientView } from "../../src/observability/admin/client-list.js";
import type { Status } from "../../src/observability/admin/status.js";
import { runCommand } from "../cli/harness.js";
import { lint, sampleOf } from "../observability/metrics/lint.js";
import { type Pair, type PairOptions, serving, startPair } from "../support/pair.js";
import { freePort } from "../support/ports.js";
import { openStream } from "../support/sse-client.js";
import { bearer, HUB, old, SECRET } from "./mercure.js";

interface Watched extends Pair {
  readonly url: string;
  text(path: string): Promise<string>;
}

async function start(t: TestContext, config: PairOptions["config"] = {}): Promise<Watched> {
  const listen = `127.0.0.1:${await freePort()}`;
  const pair = await startPair(t, { config: { ...config, admin: { listen } } });
  const url = `http://${listen}`;
  const text = async (path: string) => await (await fetch(`${url}${path}`)).text();
  return { ...pair, url, text };
}

const MAIN = { server: "main" };

describe("Admin, end to end", () => {
  test("what happened is what /metrics says, in a text without a fault", async (t) => {
    const { stream, publisher, text } = await start(t);
    const clients = [await stream(), await stream(), await stream({ "Last-Event-ID": "of another life" })];
    for (let event = 1; event <= 20; event++) await publisher.publish(`${event}`);
    for (const client of clients)
      await client.until(({ events }) => events.some(({ data }) => data === "20"), "the last event");
    await publisher.send([Buffer.from("too"), Buffer.from("many"), Buffer.from("{}"), Buffer.from("parts")]);
    await publisher.publish("21");
    await clients[0]?.until(({ events }) => events.some(({ data }) => data === "21"), "the event after the bad one");
    const metrics = await text("/metrics");
    assert.deepEqual(lint(metrics), []);
    assert.equal(sampleOf(metrics, "m2push_clients", MAIN), 3);
    assert.equal(sampleOf(metrics, "m2push_connects_total", MAIN), 3);
    assert.equal(sampleOf(metrics, "m2push_publications_total"), 21);
    assert.equal(sampleOf(metrics, "m2push_publications_rejected_total", { source: "zmq", reason: "invalid" }), 1);
    assert.equal(sampleOf(metrics, "m2push_deliveries_total", MAIN), 63);
    assert.equal(sampleOf(metrics, "m2push_gaps_total", { ...MAIN, reason: "unknown" }), 1);
    assert.equal(sampleOf(metrics, "m2push_requests_total", { ...MAIN, route: "/esupdates", status: "200" }), 3);
    assert.equal(sampleOf(metrics, "m2push_history_events"), 21);
    const flushes = sampleOf(metrics, "m2push_flush_size_bytes_count", MAIN) ?? 0;
    assert.ok(flushes >= 1 && flushes <= 21, `${flushes} flushes`);
    // The last one's fence may still be on its way.
    assert.ok((sampleOf(metrics, "m2push_publish_to_fence_seconds_count", MAIN) ?? 0) >= flushes - 1);
  });

  test("/readyz follows Mongrel2, /healthz the process alone", async (t) => {
    const { url, text, mongrel2, daemon } = await start(t);
    assert.equal(await text("/readyz"), "ready\n");
    const from = daemon.log.length;
    await mongrel2.kill9();
    await daemon.logged(({ event }) => event === "link_lost", "the loss", { from });
    const response = await fetch(`${url}/readyz`);
    assert.equal(response.status, 503);
    assert.match(await response.text(), /^server main: Mongrel2 has not answered/);
    assert.equal(await text("/healthz"), "ok\n");
    await mongrel2.start();
    await serving(daemon, from);
    assert.equal(await text("/readyz"), "ready\n");
    assert.equal(sampleOf(await text("/metrics"), "m2push_link_losses_total", MAIN), 1);
  });

  test("operators list clients, look at one, and end one, a topic's or a subject's; the others hear what follows", async (t) => {
    const { url, stream, publisher, daemon } = await start(t, { auth: { publisher_key: SECRET } });
    const answer = (path: string, method = "GET") => fetch(`${url}${path}`, { method }).then((it) => it.json());
    const list = (query: string): Promise<ClientPage> => answer(`/clients?limit=3${query}`) as Promise<ClientPage>;
    const everything = await stream();
    const weather = await stream({}, "/esupdates?topic=weather");
    const news = await stream({}, "/esupdates?topic=news");
    const user = await stream(bearer(await old({ subscribe: ["*"] }, { sub: "user-17" })), `${HUB}?topic=private`);
    const page = await list("");
    assert.deepEqual([page.total, page.clients.length], [4, 3]);
    const rest = await list(`&after=${page.next}`);
    assert.deepEqual([rest.clients.length, rest.next], [1, null]);
    const selects = ({ selectors }: ClientView, value: string) =>
      selectors.some((it) => "value" in it && it.value === value);
    const one = page.clients.find((it) => selects(it, "weather")) ?? assert.fail("it is not on the first page");
    const path = `/clients/${one.server}/${one.id}`;
    const { server, id, connectedAt: since, state, remote } = (await answer(path)) as ClientView;
    assert.deepEqual([server, id, state, remote], ["main", one.id, "live", "127.0.0.1"]);
    // Reckoned from two clocks, that of the day and that of durations: to the millisecond it may differ from one answer to the next.
    assert.ok(
      Math.abs(Date.parse(since) - Date.parse(one.connectedAt)) < 1000,
      `${since}, and before ${one.connectedAt}`,
    );
    assert.deepEqual(await answer(`${path}/disconnect`, "POST"), { disconnected: 1 });
    await weather.closed;
    assert.equal((await fetch(`${url}${path}`)).status, 404);
    assert.deepEqual(await answer("/disconnect?topic=news", "POST"), { disconnected: 1 });
    await news.closed;
    assert.deepEqual(await answer("/disconnect?subject=user-17", "POST"), { disconnected: 1 });
    await user.closed;
    const kicked = daemon.log.filter(({ event, reason }) => event === "client_disconnected" && reason === "kicked");
    assert.equal(kicked.length, 3);
    await publisher.publish("after that");
    assert.equal((await everything.next()).data, "after that");
    assert.equal(((await answer("/status")) as Status).clients, 1);
  });

  test("m2push status shows the daemon that its configuration names", async (t) => {
    const { daemon, stream } = await start(t);
    await stream();
    const table = await runCommand(addStatus, ["status", "-c", daemon.configFile]);
    assert.equal(table.code, 0);
    assert.match(table.stdout, /^m2push \S+ {2}ready {2}up \d+s {2}pid \d+$/m);
    assert.match(table.stdout, /^main +live +1 +0 /m);
    const { stdout } = await runCommand(addStatus, ["status", "--json", "-c", daemon.configFile]);
    const status: Status = JSON.parse(stdout);
    assert.deepEqual([status.pid > 0, status.ready, status.clients], [true, true, 1]);
  });

  test("the doctor asks a running daemon, and takes no request from it", async (t) => {
    const { mongrel2, daemon } = await start(t);
    const examined = runCommand(addDoctor, ["doctor", "-c", daemon.configFile, "--mongrel2-db", mongrel2.database]);
    const streams = Array.from({ length: 50 }, () => openStream(`${mongrel2.url}/esupdates`));
    for (const client of await Promise.all(streams)) {
      t.after(() => client.close());
      assert.equal(client.status, 200);
    }
    const { stdout, code } = await examined;
    assert.match(stdout, /^ok {4}m2push: version \S+ runs \(pid \d+\) and is ready$/m);
    assert.match(stdout, /^ok {4}main: the running daemon serves it: /m);
    assert.doesNotMatch(stdout, /^FAIL/m);
    assert.equal(code, 0);
  });

  test("the doctor finds why a running daemon is not ready", async (t) => {
    const { mongrel2, daemon } = await start(t);
    const from = daemon.log.length;
    await mongrel2.kill9();
    await daemon.logged(({ event }) => event === "link_lost", "the loss", { from });
    const { stdout, code } = await runCommand(addDoctor, ["doctor", "-c", daemon.configFile]);
    assert.match(
      stdout,
      /^FAIL {2}m2push: the daemon \(pid \d+\) is not ready: server main: .*; fix: see the lines below$/m,
    );
    assert.match(stdout, /^FAIL {2}main: nothing listens at send_spec .*; fix: start Mongrel2/m);
    assert.equal(code, 1);
  });
});
