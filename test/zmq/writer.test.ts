/** The only sender of a socket, on a socket that is slow. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Writer } from "../../src/zmq/writer.js";

/** Like zeromq.js: a send while another is pending is an error (EBUSY). */
function slowSocket() {
  const sent: string[] = [];
  let finish: (() => void) | undefined;
  return {
    sent,
    send(frame: Buffer): Promise<void> {
      assert.equal(finish, undefined, "EBUSY");
      sent.push(frame.toString());
      return new Promise((resolve) => {
        finish = () => {
          finish = undefined;
          resolve();
        };
      });
    },
    /** The pending send is done; whatever follows from it happens. */
    async step(): Promise<void> {
      finish?.();
      await new Promise(setImmediate);
    },
  };
}

test("frames leave one by one, in their order, also those that are written while others wait", async () => {
  const socket = slowSocket();
  const writer = new Writer(socket);
  for (const frame of ["1", "2", "3"]) writer.send(Buffer.from(frame));
  assert.deepEqual(socket.sent, ["1"]);
  await socket.step();
  writer.send(Buffer.from("4"));
  assert.deepEqual(socket.sent, ["1", "2"]);
  for (let step = 0; step < 3; step++) await socket.step();
  writer.send(Buffer.from("5"));
  await socket.step();
  assert.deepEqual(socket.sent, ["1", "2", "3", "4", "5"]);
});

test("a frame that is written when nothing waits is sent at once", async () => {
  const socket = slowSocket();
  const writer = new Writer(socket);
  writer.send(Buffer.from("1"));
  await socket.step();
  writer.send(Buffer.from("2"));
  assert.deepEqual(socket.sent, ["1", "2"]);
});

test("closing waits for what is queued, and takes nothing more", async () => {
  const socket = slowSocket();
  const writer = new Writer(socket);
  for (const frame of ["1", "2"]) writer.send(Buffer.from(frame));
  let isClosed = false;
  const closed = writer.close().then(() => (isClosed = true));
  writer.send(Buffer.from("3"));
  await socket.step();
  assert.equal(isClosed, false);
  await socket.step();
  await closed;
  assert.deepEqual(socket.sent, ["1", "2"]);
});

test("closing a writer that never wrote is over at once", async () => {
  await new Writer(slowSocket()).close();
});
