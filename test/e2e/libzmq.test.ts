/** The daemon over the zeromq package instead of its native sockets, beside a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { curveKeyPair, Request } from "zeromq";
import { serving, startPair } from "../support/pair.js";
import { freePort } from "../support/ports.js";

const config = { zmq: { implementation: "libzmq" } };
/** So that Mongrel2's clock shows soon who has been there for how long. */
const settings = { "limits.tick_timer": 1 };

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`);

describe("libzmq, end to end", () => {
  test("streams get every event across a stop of the daemon, and new ones are served after a restart of Mongrel2", async (t) => {
    const pair = await startPair(t, { settings, config });
    const clients = await Promise.all(Array.from({ length: 20 }, () => pair.stream()));
    for (const event of numbers(1, 50)) await pair.publisher.publish(event);
    for (const client of clients) await client.until(({ events }) => events.length === 50, "the first events");
    await pair.aged(3);
    assert.equal(await pair.daemon.stop("SIGTERM"), 0);
    assert.ok(pair.daemon.log.some(({ msg }) => msg === "stopped: requests in progress may be lost"));
    await pair.restart();
    for (const event of numbers(51, 100)) await pair.publisher.publish(event);
    for (const client of clients) {
      await client.until(({ events }) => events.length >= 100, "the last event", 20_000);
      assert.deepEqual(
        client.events.map(({ data }) => data),
        numbers(1, 100),
      );
    }

    const from = pair.daemon.log.length;
    await pair.mongrel2.kill9();
    await Promise.all(clients.map((client) => client.closed));
    await pair.publisher.publish("secret of the old clients");
    await pair.mongrel2.start();
    await serving(pair.daemon, from);
    const client = await pair.stream();
    await pair.publisher.publish("after");
    assert.equal((await client.next()).data, "after");
  });

  test("publishers use PUSH, REQ and CURVE, and a key publishes only to its topics", async (t) => {
    const [server, client] = [curveKeyPair(), curveKeyPair()];
    const [acknowledged, curved] = [`tcp://127.0.0.1:${await freePort()}`, `tcp://127.0.0.1:${await freePort()}`];
    const pair = await startPair(t, {
      config: {
        ...config,
        publish: { zmq_acknowledged: acknowledged },
        "[publish.curve]": {
          name: "sensors",
          address: curved,
          server_secret_key: server.secretKey,
          client_public_key: client.publicKey,
          topics: ["sensors/{id}"],
          acknowledged: true,
        },
      },
    });
    const stream = await pair.stream();
    await pair.publisher.publish("by PUSH");
    assert.equal((await stream.next()).data, "by PUSH");
    const open = new Request({ linger: 0 });
    const { publicKey: curvePublicKey, secretKey: curveSecretKey } = client;
    const secure = new Request({ linger: 0, curvePublicKey, curveSecretKey, curveServerKey: server.publicKey });
    t.after(() => {
      open.close();
      secure.close();
    });
    open.connect(acknowledged);
    secure.connect(curved);
    const ask = async (socket: Request, topic: string, data: string) => {
      await socket.send([topic, data]);
      const [reply] = await socket.receive();
      return JSON.parse(String(reply));
    };
    const { id } = await ask(open, "news", "by REQ");
    const { id: secureId } = await ask(secure, "sensors/7", "by CURVE");
    const events = [await stream.next(), await stream.next()];
    assert.deepEqual(
      events.map((event) => [event.data, event.id]),
      [
        ["by REQ", id],
        ["by CURVE", secureId],
      ],
    );
    const { error } = await ask(secure, "news", "of another topic");
    assert.equal(error.code, "forbidden");
    await pair.publisher.publish("end");
    assert.equal((await stream.next()).data, "end");
  });
});
