/** Webhooks from what happens in a hub to the requests that a receiver gets; the receiver is a function, the store is a real one. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Describer } from "../../src/client-events/client-event.js";
import type { PostRequest, PostResult } from "../../src/client-events/post.js";
import { Webhooks } from "../../src/client-events/webhooks.js";
import type { Interest } from "../../src/matching/interest.js";
import { Conditions } from "../../src/util/conditions.js";
import { load } from "../config/harness.js";
import { eventStores, turn } from "../support/event-store.js";
import { bench } from "../support/hub.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const table = (more = "", name = "main") =>
  `[[webhook]]\nname = "${name}"\nurl = "https://backend.example/clients"\nsecret = "${SECRET}"\n${more}\n`;
const interest = (topic: string): Interest => ({ selectors: [{ kind: "exact", value: topic }], grants: [] });
const TAKEN: PostResult = { outcome: "taken" };
const FAILED: PostResult = { outcome: "failed", reason: "status 500" };

interface Told {
  readonly kind: string;
  readonly session?: string;
  readonly [member: string]: unknown;
}

/** A hub whose clients webhooks are told of. `restart` makes another process on the same store. */
async function open(t: TestContext, toml = table()) {
  const stores = eventStores(t, load(toml).config.events.max_age);
  const { clock } = stores;
  const requests: PostRequest[] = [];
  const events: Told[] = [];
  const problems: string[] = [];
  const lost: number[] = [];
  const answers: PostResult[] = [];
  const post = async (request: PostRequest) => {
    requests.push(request);
    const answer = answers.shift() ?? TAKEN;
    if (answer.outcome === "taken") events.push(...JSON.parse(request.body).data.events);
    return answer;
  };
  let webhooks: Webhooks | undefined;
  const it = await bench({ observe: (event) => webhooks?.observe(event) });
  const conditions = new Conditions(clock, ({ type, condition }) => problems.push(`${type} ${condition.message}`));
  const start = async () => {
    const describer = new Describer({ clock, daemon: "host/1", idents: new Map() });
    const settings = load(toml).config;
    webhooks = new Webhooks(settings, {
      ...{ store: await stores.open(), clock, conditions, describer, servers: new Set(["main"]) },
      ...{ post, random: () => 0, lost: (_: string, count: number) => lost.push(count) },
    });
    return webhooks;
  };
  t.after(() => webhooks?.close());
  await start();
  /** Lets everything happen that is due. */
  const pass = async (ms = 0) => {
    clock.advance(ms);
    for (let turns = 0; turns < 10; turns++) await turn();
  };
  const restart = async () => {
    await webhooks?.close();
    return start();
  };
  const configure = (text: string) => webhooks?.configure(load(text).config);
  const status = () => webhooks?.status[0] ?? assert.fail("no webhook");
  const observe = (event: Parameters<Webhooks["observe"]>[0]) => webhooks?.observe(event);
  const kinds = () => events.map(({ kind }) => kind);
  return {
    ...{ hub: it.hub, server: it.server, connect: it.connect, clock, requests, events, kinds, problems, lost, answers },
    ...{ pass, restart, configure, status, observe },
  };
}

const idOf = ({ headers }: PostRequest) => headers["webhook-id"];

describe("Webhooks", () => {
  test("a connect is sent at once, a disconnect after the grace, with the same session", async (t) => {
    const { connect, hub, server, pass, events, requests } = await open(t);
    connect(1, { interest: interest("news") });
    await pass();
    assert.equal(events.length, 1);
    assert.deepEqual(events[0]?.selectors, [{ kind: "exact", value: "news" }]);
    assert.match(idOf(requests[0] as PostRequest) ?? "", /^[0-9a-f]{12}-1-1$/);
    assert.match(requests[0]?.headers["webhook-signature"] ?? "", /^v1,/);
    hub.leave(server, 1, "left");
    await pass(4900);
    assert.equal(events.length, 1);
    await pass(200);
    const [connected, gone] = events;
    assert.deepEqual([gone?.kind, gone?.reason, gone?.connection], ["disconnect", "left", 1]);
    assert.equal(gone?.session, connected?.session);
    assert.ok((gone?.sequence as number) > (connected?.sequence as number));
  });

  test("a visitor who returns within the grace is no event; another one, or other topics, are", async (t) => {
    const { connect, hub, server, pass, events } = await open(t);
    connect(1, { interest: interest("news") });
    hub.leave(server, 1, "left");
    await pass(1000);
    connect(2, { interest: interest("news") });
    await pass(10_000);
    assert.equal(events.length, 1);
    hub.leave(server, 2, "left");
    connect(3, { interest: interest("sport") });
    await pass(10_000);
    assert.deepEqual(
      events.map(({ kind, connection, session }) => [kind, connection, session === events[0]?.session]),
      [
        ["connect", 1, true],
        ["connect", 3, false],
        ["disconnect", 2, true],
      ],
    );
  });

  test("of two streams of one visitor one that returns leaves one", async (t) => {
    const { connect, hub, server, pass, kinds } = await open(t);
    connect(1);
    connect(2);
    hub.leave(server, 1, "left");
    hub.leave(server, 2, "left");
    await pass(1000);
    connect(3);
    await pass(10_000);
    assert.deepEqual(kinds(), ["connect", "connect", "disconnect"]);
  });

  test("after a restart clients are adopted with their session, and those that are gone have left", async (t) => {
    const { connect, server, pass, restart, events, observe } = await open(t);
    connect(1);
    connect(2);
    await pass();
    await restart();
    const client = server.clients.get(1);
    assert.ok(client);
    observe({ type: "clientAdopted", server: "main", client, clients: 1 });
    const result = { adopted: 1, cancelled: 0, gone: 1, proven: true };
    observe({ type: "adoptionCompleted", server: "main", ...result });
    await pass(6000);
    assert.deepEqual(
      events.map(({ kind, connection, reason, session }) => [kind, connection, reason, session]),
      [
        ["connect", 1, undefined, events[0]?.session],
        ["connect", 2, undefined, events[1]?.session],
        ["adopt", 1, undefined, events[0]?.session],
        ["disconnect", 2, "gone", events[1]?.session],
      ],
    );
  });

  test("a link that is lost and found again is no event", async (t) => {
    const { connect, hub, server, pass, kinds } = await open(t);
    connect(1);
    const [stored] = hub.lost(server);
    assert.ok(stored);
    hub.adopt(server, stored);
    await pass(10_000);
    assert.deepEqual(kinds(), ["connect"]);
  });

  test("a failed request is repeated with its id, and what happens meanwhile follows, in order", async (t) => {
    const { connect, pass, requests, events, answers, status } = await open(t);
    answers.push(FAILED, FAILED);
    connect(1);
    await pass();
    for (const id of [2, 3, 4]) connect(id, { interest: interest(`${id}`) });
    await pass(999);
    assert.equal(requests.length, 1);
    assert.deepEqual(status(), {
      ...{ name: "main", state: "waiting", sent: 0, failures: 1, pending: 4, oldestSeconds: 0.999, lost: 0 },
    });
    await pass(1);
    assert.equal(requests.length, 2);
    await pass(2000);
    assert.deepEqual(new Set(requests.slice(0, 3).map(idOf)).size, 1);
    assert.equal(requests.length, 4);
    assert.deepEqual(
      events.map(({ connection }) => connection),
      [1, 2, 3, 4],
    );
  });

  test("the next process repeats the request that was under way, with its id and its events", async (t) => {
    const { connect, pass, requests, answers, restart, events } = await open(t);
    answers.push(FAILED);
    connect(1);
    await pass();
    connect(2, { interest: interest("other") });
    await pass();
    await restart();
    await pass();
    assert.equal(requests.length, 3);
    const [first, second] = requests as [PostRequest, PostRequest];
    assert.deepEqual([idOf(second), second.body], [idOf(first), first.body]);
    assert.deepEqual(
      events.map(({ connection }) => connection),
      [1, 2],
    );
  });

  test("Retry-After delays the next attempt", async (t) => {
    const { connect, pass, requests, answers } = await open(t);
    answers.push({ ...FAILED, retryAfter: "30" });
    connect(1);
    await pass();
    await pass(29_999);
    assert.equal(requests.length, 1);
    await pass(1);
    assert.equal(requests.length, 2);
  });

  test("a receiver that fails is a condition until it takes events again", async (t) => {
    const { connect, pass, answers, problems } = await open(t);
    answers.push(FAILED, FAILED, FAILED);
    connect(1);
    await pass();
    await pass(1000);
    assert.deepEqual(problems, []);
    await pass(2000);
    assert.match(problems.join(), /^conditionBegan .*status 500$/);
    await pass(4000);
    assert.match(problems.at(-1) ?? "", /^conditionEnded/);
  });

  test("410 Gone disables the webhook until the configuration is loaded again", async (t) => {
    const { connect, pass, requests, answers, problems, configure, events, status } = await open(t);
    answers.push({ outcome: "gone" });
    connect(1);
    await pass();
    await pass(3_600_000);
    assert.equal(requests.length, 1);
    assert.equal(status().state, "disabled");
    assert.match(problems.join(), /410 Gone/);
    configure(table());
    await pass();
    assert.equal(events.length, 1);
  });

  test("a webhook gets the kinds that it asks for; a new one begins with the next event", async (t) => {
    const first = table('events = ["disconnect"]');
    const { connect, hub, server, pass, kinds, configure, requests, status } = await open(t, first);
    connect(1);
    await pass();
    assert.equal(status().pending, 0);
    configure(first + table("", "second"));
    hub.leave(server, 1, "left");
    await pass(6000);
    assert.deepEqual([kinds(), requests.length], [["disconnect", "disconnect"], 2]);
  });

  test("in a storm many events share a request", async (t) => {
    const { connect, pass, requests, events } = await open(t);
    for (let id = 1; id <= 1000; id++) connect(id);
    await pass();
    assert.equal(events.length, 1000);
    assert.ok(requests.length <= 5);
    const sequences = events.map(({ sequence }) => sequence);
    assert.deepEqual(
      sequences,
      sequences.map((_, at) => at + 1),
    );
  });

  test("beyond max_pending the oldest go, and an events_lost event takes their place", async (t) => {
    const limited = `${table()}[events]\nmax_pending = 1000\n`;
    const { connect, pass, answers, events, lost, status } = await open(t, limited);
    answers.push(FAILED);
    for (let id = 1; id <= 1500; id++) connect(id);
    await pass();
    await pass(1000);
    assert.equal(
      lost.reduce((sum, count) => sum + count, 0),
      500,
    );
    assert.equal(status().lost, 500);
    const [first, second] = events;
    assert.deepEqual([first?.kind, first?.count, first?.from, first?.through], ["events_lost", 500, 1, 500]);
    assert.equal(second?.connection, 501);
    assert.equal(events.length, 1001);
  });

  test("events beyond max_age go in the same way", async (t) => {
    const { connect, pass, answers, events } = await open(t, `${table()}[events]\nmax_age = "60s"\n`);
    answers.push({ ...FAILED, retryAfter: "90" });
    connect(1);
    await pass();
    await pass(70_000);
    connect(2, { interest: interest("other") });
    await pass(20_000);
    assert.deepEqual(
      events.map(({ kind, count, connection }) => [kind, count, connection]),
      [
        ["events_lost", 1, undefined],
        ["connect", undefined, 2],
      ],
    );
  });

  test("grace 0 tells of a disconnect at once, and the secret is nowhere but in the signature", async (t) => {
    const { connect, hub, server, pass, kinds, requests } = await open(t, `${table()}[events]\ngrace = "0"\n`);
    connect(1, { control: { name: "a-secret-name-of-a-stream", dialect: "draft-08" } });
    hub.leave(server, 1, "left");
    await pass();
    assert.deepEqual(kinds(), ["connect", "disconnect"]);
    assert.ok(!JSON.stringify(requests).includes(SECRET));
    assert.ok(!JSON.stringify(requests).includes("a-secret-name"));
  });
});
