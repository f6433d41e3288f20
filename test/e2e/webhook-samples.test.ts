/** The receivers of docs/examples take what the daemon's sender sends, once, and refuse what is forged. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTo } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { post } from "../../src/client-events/post.js";
import { webhookHeaders } from "../../src/client-events/standard-webhooks.js";
import { Changes } from "../support/deadline.js";
import { freePort } from "../support/ports.js";
import { Child, PROJECT } from "../support/processes.js";
import { WEBHOOK_SECRET } from "../support/webhook-receiver.js";

const SAMPLES = [
  ["webhook.py", "/usr/bin/python3"],
  ["webhook.mjs", process.execPath],
] as const;

const bodyOf = (...events: object[]) => JSON.stringify({ type: "m2push.clients", data: { events } });
const connect = { id: "e-1", sequence: 1, kind: "connect", session: "s", remote: "192.0.2.1", subject: "alice" };
const disconnect = { ...connect, id: "e-2", sequence: 2, kind: "disconnect" };

/** Sends bytes that no client of HTTP sends. Resolves when the receiver has closed the connection. */
async function sendRaw(port: number, text: string): Promise<void> {
  const socket = connectTo(port, "127.0.0.1");
  socket.resume().end(text, "latin1");
  await once(socket, "close");
}

describe("Samples of receivers", () => {
  for (const [name, program] of SAMPLES) {
    test(`${name} takes signed events once, and refuses forged and old ones`, async (t) => {
      const port = await freePort();
      const env = { ...process.env, WEBHOOK_SECRET };
      const receiver = new Child(program, [join(PROJECT, "docs/examples", name), `${port}`], PROJECT, env);
      t.after(() => receiver.kill9());
      const changes = new Changes();
      receiver.process.stdout?.on("data", () => changes.tell());
      const printed = (text: string) => changes.until(() => receiver.stdout.includes(text), text);
      await printed("listening");
      const send = async (body: string, { secret = WEBHOOK_SECRET, time = Date.now() } = {}) => {
        const headers = webhookHeaders({ id: "e-1-2", body, secrets: [secret, WEBHOOK_SECRET].slice(0, 1), time });
        const { signal } = new AbortController();
        return (await post({ url: `http://127.0.0.1:${port}/`, headers, body, signal })).outcome;
      };
      const forged = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
      assert.equal(await send(bodyOf(disconnect), { secret: forged }), "failed");
      assert.equal(await send(bodyOf(disconnect), { time: Date.now() - 3_600_000 }), "failed");
      // As long as a signature in characters, longer in bytes; and a request that breaks off.
      const time = Math.floor(Date.now() / 1000);
      const odd = `v1,${"\u00e9".padEnd(44, "A")}`;
      const head = `POST / HTTP/1.1\r\nHost: a\r\nwebhook-id: x\r\nwebhook-timestamp: ${time}\r\nwebhook-signature: ${odd}\r\n`;
      await sendRaw(port, `${head}Connection: close\r\nContent-Length: 2\r\n\r\n{}`);
      await sendRaw(port, `${head}Content-Length: 9\r\n\r\n{`);
      assert.equal(await send(bodyOf(connect)), "taken");
      await printed("connect alice present: 1");
      assert.equal(await send(bodyOf(connect, disconnect)), "taken");
      await printed("disconnect alice present: 0");
      assert.equal(receiver.stdout.split("\n").filter((line) => line.startsWith("connect")).length, 1);
    });
  }
});
