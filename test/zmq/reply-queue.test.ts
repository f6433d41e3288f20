/** Replies of one peer: their order, and when its messages are held. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ReplyBudget, ReplyQueue } from "../../src/zmq/reply-queue.js";

function setUp(budget = new ReplyBudget()) {
  const sent: string[][] = [];
  const connection = {
    isWritable: true,
    isHeld: false,
    sendReplies: (replies: readonly (readonly Buffer[])[]) =>
      void sent.push(replies.map((parts) => parts.map(String).join("|"))),
    hold() {
      this.isHeld = true;
    },
    release() {
      this.isHeld = false;
    },
  };
  const queue = new ReplyQueue(connection, budget);
  const add = (bytes = 0, envelope: readonly string[] = []) => {
    const reply = queue.add(
      envelope.map((part) => Buffer.from(part)),
      bytes,
    );
    return (text: string) => reply(Buffer.from(text));
  };
  return { sent, connection, queue, add };
}

const nextTick = () => new Promise<void>((resolve) => process.nextTick(resolve));

describe("ReplyQueue", () => {
  test("sends replies in the order of the messages, each behind its envelope", async () => {
    const { sent, add } = setUp();
    const [first, second, third] = [add(0, [""]), add(0, ["id", ""]), add()];
    third("3");
    second("2");
    await nextTick();
    assert.deepEqual(sent, []);
    first("1");
    await nextTick();
    assert.deepEqual(sent, [["|1", "id||2", "3"]]);
  });

  test("sends what is answered in one tick at once", async () => {
    const { sent, add } = setUp();
    const replies = [add(), add(), add()];
    replies[0]?.("1");
    replies[1]?.("2");
    await nextTick();
    replies[2]?.("3");
    await nextTick();
    assert.deepEqual(sent, [["1", "2"], ["3"]]);
  });

  test("holds a peer with 1000 messages under way until one is answered", async () => {
    const { connection, add } = setUp();
    const replies = Array.from({ length: 999 }, () => add());
    assert.ok(!connection.isHeld);
    add();
    assert.ok(connection.isHeld);
    replies[500]?.("not the first");
    await nextTick();
    assert.ok(connection.isHeld);
    replies[0]?.("the first");
    await nextTick();
    assert.ok(!connection.isHeld);
  });

  test("holds a peer with a megabyte under way", async () => {
    const { connection, add } = setUp();
    add(500_000);
    assert.ok(!connection.isHeld);
    const last = add(500_000);
    assert.ok(connection.isHeld);
    last("answered: its reply takes less memory than the message");
    await nextTick();
    assert.ok(!connection.isHeld);
  });

  test("keeps the replies of a peer that does not read, and takes no message of it until it does", async () => {
    const { sent, connection, queue, add } = setUp();
    const [first, second] = [add(), add()];
    connection.isWritable = false;
    first("1");
    await nextTick();
    assert.ok(connection.isHeld);
    second("2");
    await nextTick();
    assert.deepEqual(sent, []);
    connection.isWritable = true;
    queue.flush();
    assert.deepEqual(sent, [["1", "2"]]);
    assert.ok(!connection.isHeld);
  });

  test("all peers together: beyond the limit each has one message under way, then all go on", async () => {
    const budget = new ReplyBudget();
    const greedy = Array.from({ length: 17 }, () => {
      const it = setUp(budget);
      return { ...it, replies: [it.add(950_000), it.add(0)] };
    });
    const innocent = setUp(budget);
    assert.ok(!innocent.connection.isHeld);
    const reply = innocent.add(10);
    assert.ok(innocent.connection.isHeld);
    reply("ok");
    await nextTick();
    assert.deepEqual(innocent.sent, [["ok"]]);
    assert.ok(!innocent.connection.isHeld);
    innocent.add(10);
    assert.ok(innocent.connection.isHeld);
    greedy[0]?.queue.close();
    assert.ok(!innocent.connection.isHeld);
  });

  test("a closed connection gets no reply and holds no memory of the others", async () => {
    const budget = new ReplyBudget();
    const { sent, queue, add } = setUp(budget);
    const reply = add(16_000_000);
    assert.ok(budget.isExceeded);
    queue.close();
    assert.ok(!budget.isExceeded);
    reply("late");
    await nextTick();
    assert.deepEqual(sent, []);
    assert.ok(!budget.isExceeded);
  });
});
