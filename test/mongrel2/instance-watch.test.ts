/** What the control port's connection of one Mongrel2 changes, with a REP socket of libzmq as the control port. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Reply } from "zeromq";
import type { ServerConfig } from "../../src/config/schema.js";
import type { Client } from "../../src/delivery/client.js";
import type { ServerDelivery } from "../../src/delivery/server-delivery.js";
import type { Hub } from "../../src/hub/hub.js";
import { InstanceWatch } from "../../src/mongrel2/instance-watch.js";
import type { Mongrel2Link } from "../../src/mongrel2/mongrel2-link.js";
import type { Inbound } from "../../src/protocol/request.js";
import { encode } from "../../src/protocol/tnetstring.js";
import { conditionTexts } from "../../src/util/condition-texts.js";
import { Conditions } from "../../src/util/conditions.js";
import { load } from "../config/harness.js";
import { FakeClock } from "../support/clock.js";
import { Changes } from "../support/deadline.js";
import { freePort } from "../support/ports.js";

const UUID = encode(
  new Map<string, never>([
    ["headers", ["uuid"] as never],
    ["rows", [["u"]] as never],
  ]),
);

/** A link and a server that write down what is asked of them; client 2 gets public events only. */
function setUp(t: TestContext, changes: Partial<ServerConfig>) {
  const [defaults] = load("").config.mongrel2;
  const config = { ...defaults, name: "main", ...changes } as ServerConfig;
  const clock = new FakeClock();
  const calls: string[] = [];
  const told = new Changes();
  const call = (what: string) => {
    calls.push(what);
    told.tell();
  };
  const conditions = new Conditions(clock, ({ type, condition }) => call(`${type} ${condition.code}`));
  const link = {
    live: true,
    maxTargets: 128,
    afterFence: (passed: () => void) => passed(),
    keepAlive: (ids: readonly number[]) => call(`keep-alive ${ids}`),
    endGeneration: (reason: string) => call(`end of the generation: ${reason}`),
    resume: () => call("resume"),
  } as unknown as Mongrel2Link;
  const clients = new Map([1, 2].map((id) => [id, { id } as unknown as Client]));
  const server = {
    servesPrivate: true,
    clients,
    isPublicOnly: ({ id }: Client) => id === 2,
  } as unknown as ServerDelivery;
  const hub = {
    end: (_: ServerDelivery, id: number, reason: string) => call(`${id} ends: ${reason}`),
  } as unknown as Hub;
  const observe = ({ type }: { readonly type: string }) => call(type);
  const watch = new InstanceWatch(config, { hub, observe, conditions, clock, link, server });
  t.after(() => watch.stop());
  return { watch, clock, calls, told, conditions, server };
}

/** A control port that answers each command with a uuid, until it is closed; `asked`: it has answered one. */
async function controlPort(t: TestContext, spec: string) {
  const reply = new Reply({ linger: 0 });
  await reply.bind(spec);
  t.after(() => reply.close());
  const asked = new Promise<void>((resolve) => {
    void (async () => {
      for await (const _ of reply) {
        await reply.send(UUID);
        resolve();
      }
    })();
  });
  return { asked, close: () => reply.close() };
}

const request = (id: number) => ({ kind: "http", id }) as unknown as Inbound;
const control = async () => `tcp://127.0.0.1:${await freePort()}`;

describe("InstanceWatch of a direct link", () => {
  test("without a control port serves private events, and has no verdict on a Mongrel2", async (t) => {
    const { watch, calls, server } = setUp(t, { control: undefined });
    await watch.start();
    assert.deepEqual([watch.mayServe, watch.connections, server.servesPrivate], [true, undefined, true]);
    const receive = (_: Inbound) => {};
    assert.equal(watch.observing(receive), receive);
    const verdicts: string[] = [];
    watch.linkLive((verdict) => verdicts.push(verdict));
    assert.deepEqual(verdicts, ["unknown"]);
    assert.deepEqual(calls, []);
  });

  test("reports that the control port does not answer, and that it does again", async (t) => {
    const spec = await control();
    const { watch, clock, calls, told, conditions } = setUp(t, { control: spec });
    await watch.start();
    clock.advance(5000);
    await told.until(() => conditions.has("control_unreachable", "main"), "the condition");
    assert.deepEqual(calls, ["controlPortFailed", "conditionBegan control_unreachable"]);
    await controlPort(t, spec);
    // Between two attempts to connect the fake clock must pass, the connection itself takes real time.
    const reached = told.until(() => !conditions.has("control_unreachable", "main"), "its end");
    const passing = setInterval(() => clock.advance(1000), 20);
    await reached.finally(() => clearInterval(passing));
    assert.equal(calls.at(-1), "conditionEnded control_unreachable");
  });
});

describe("InstanceWatch behind a proxy", () => {
  test("without a control port serves no private events, and checks streams when an id comes again", async (t) => {
    const { watch, calls, server, conditions } = setUp(t, { control: undefined, bind: true });
    await watch.start();
    assert.equal(server.servesPrivate, false);
    assert.equal(conditions.active[0]?.fix, conditionTexts.privateRefused(false).fix);
    const received: Inbound[] = [];
    const receive = watch.observing((message) => received.push(message));
    receive(request(5));
    receive(request(3));
    assert.deepEqual(received, [request(5), request(3)]);
    assert.deepEqual(calls, ["conditionBegan private_refused", "keep-alive 1,2"]);
    watch.linkLost(true);
    watch.linkLive(() => {});
    assert.equal(server.servesPrivate, false);
  });

  test("waits for the control port for 3 s before it serves without it", async (t) => {
    const { watch, clock, calls } = setUp(t, { control: await control(), bind: true });
    await watch.start();
    assert.equal(watch.mayServe, false);
    clock.advance(2900);
    assert.equal(watch.mayServe, false);
    clock.advance(100);
    assert.equal(watch.mayServe, true);
    watch.linkLive(() => {});
    assert.ok(calls.includes("conditionBegan private_refused"), `${calls}`);
  });

  test("with a control port serves private events, and ends the generation with its connection", async (t) => {
    const spec = await control();
    const port = await controlPort(t, spec);
    const { watch, clock, calls, told, server, conditions } = setUp(t, { control: spec, bind: true });
    await watch.start();
    await port.asked;
    assert.equal(watch.mayServe, true);
    watch.linkLive(() => {});
    assert.equal(server.servesPrivate, true);
    assert.deepEqual(calls, ["2 ends: reopened"], "its stream got public events only");
    assert.deepEqual(conditions.active, []);
    const receive = watch.observing(() => {});
    receive(request(5));
    receive(request(3));
    assert.deepEqual(calls, ["2 ends: reopened"], "the canary is not needed");
    port.close();
    const ended = "end of the generation: the connection to Mongrel2's control port has ended";
    await told.until(() => calls.includes(ended), "the end");
    assert.ok(!calls.includes("resume"));
    clock.advance(50);
    assert.ok(calls.includes("resume"));
  });
});
