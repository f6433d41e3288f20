/**
 * Thousands of connections come and go while old ones are kept and ask now and then: directly, through nginx with a pool of upstream
 * connections, and through a ZeroMQ proxy. test/soak/churn.ts does the same with 100,000.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { churn } from "../support/churn.js";
import { connectionsOf } from "../support/control.js";
import { Nginx } from "../support/nginx.js";
import { startPair } from "../support/pair.js";
import { ZmqProxies } from "../support/zmq-proxy.js";

/** More than any number of ids that was ever taken for a sign (4096). */
const VISITORS = 5000;
const config = { auth: { allow_publish_from: ["127.0.0.1"] } };

describe("Churn", () => {
  test("behind nginx with a pool of upstream connections no stream is cut and no event lost", async (t) => {
    const pair = await startPair(t, { config });
    const nginx = await Nginx.before(pair.mongrel2);
    t.after(() => nginx.stop());
    const events = await churn(pair, { visitors: VISITORS, port: nginx.port, after: t.after.bind(t) });
    assert.ok(events >= VISITORS / 500, `${events} events`);
    // Of what came through nginx only a part had a connection of its own: the others came on old ones.
    await pair.stream();
    const rows = await connectionsOf(pair.mongrel2);
    const newest = Math.max(...rows.map(({ id }) => id));
    assert.ok(newest > VISITORS && newest < VISITORS + VISITORS / 20, `${newest} connections`);
  });

  test("behind a ZeroMQ proxy with a control port no stream is cut and no event lost", async (t) => {
    const server = async (mongrel2: Parameters<typeof ZmqProxies.before>[0]) => {
      const proxies = await ZmqProxies.before(mongrel2);
      t.after(() => proxies.close());
      return { send_spec: proxies.sendSpec, recv_spec: proxies.recvSpec, bind: true };
    };
    const pair = await startPair(t, { config, server });
    await churn(pair, { visitors: VISITORS, after: t.after.bind(t) });
  });
});
