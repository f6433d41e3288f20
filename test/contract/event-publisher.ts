/** What every EventPublisher promises, tested with SUB sockets of libzmq. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Subscriber } from "zeromq";
import type { EventPublisher } from "../../src/zmq/event-publisher.js";
import { WAIT_TIMEOUT_MS } from "../support/deadline.js";
import { freePort } from "../support/ports.js";

type Open = (spec: string) => EventPublisher;

const observer = { refused() {}, failed() {}, recovered() {}, broken() {} };

/** A publisher that is started, and its address. */
export async function startPublisher(t: TestContext, open: Open) {
  const spec = `tcp://127.0.0.1:${await freePort()}`;
  const publisher = open(spec);
  t.after(() => publisher.close());
  await publisher.start(observer);
  const publish = (topic: string, body: string) => publisher.publish(Buffer.from(topic), Buffer.from(body));
  return { spec, publisher, publish };
}

/** A SUB socket with these subscriptions; `next` resolves with the parts of its next message. */
export function subscribe(t: TestContext, spec: string, ...topics: string[]) {
  const socket = new Subscriber({ linger: 0, receiveTimeout: WAIT_TIMEOUT_MS });
  t.after(() => socket.close());
  socket.connect(spec);
  socket.subscribe(...topics);
  return { socket, next: async () => (await socket.receive()).map(String) };
}

/** Publishes until the subscriber has received something of `topic`: its subscriptions have arrived. */
export async function untilSubscribed(
  publish: (topic: string, body: string) => void,
  subscriber: ReturnType<typeof subscribe>,
  topic: string,
): Promise<void> {
  const timer = setInterval(() => publish(topic, "hello"), 10);
  await subscriber.next().finally(() => clearInterval(timer));
  publish(topic, `end of ${topic}`);
  while ((await subscriber.next())[1] !== `end of ${topic}`);
}

export function eventPublisherContract(name: string, open: Open): void {
  describe(name, () => {
    test("sends two parts, in order, to those that subscribe to a prefix of the topic", async (t) => {
      const { spec, publish } = await startPublisher(t, open);
      const [some, all] = [subscribe(t, spec, "dis"), subscribe(t, spec, "")];
      await untilSubscribed(publish, some, "dis");
      await untilSubscribed(publish, all, "x");
      publish("connect", "1");
      publish("disconnect", "2");
      publish("disconnect", "3");
      assert.deepEqual(
        [await some.next(), await some.next()],
        [
          ["disconnect", "2"],
          ["disconnect", "3"],
        ],
      );
      const received = [await all.next(), await all.next(), await all.next()];
      assert.deepEqual(received, [
        ["connect", "1"],
        ["disconnect", "2"],
        ["disconnect", "3"],
      ]);
    });

    test("sends what was published before it is closed", async (t) => {
      const { spec, publish, publisher } = await startPublisher(t, open);
      const subscriber = subscribe(t, spec, "");
      await untilSubscribed(publish, subscriber, "x");
      assert.equal(publisher.subscribers, 1);
      for (let number = 0; number < 100; number++) publish("x", `${number}`);
      await publisher.close();
      for (let number = 0; number < 100; number++) assert.deepEqual(await subscriber.next(), ["x", `${number}`]);
    });

    test("rejects an address in use, and a publish without subscribers does nothing", async (t) => {
      const { spec, publish } = await startPublisher(t, open);
      publish("x", "nobody");
      const second = open(spec);
      t.after(() => second.close());
      await assert.rejects(second.start(observer), { code: "link_failed" });
    });
  });
}
