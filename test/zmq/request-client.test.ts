/** Questions to a REP socket that answers, answers late, or is not there. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Reply } from "zeromq";
import { RequestClient } from "../../src/zmq/request-client.js";
import { freePort } from "../support/ports.js";

const address = async () => `tcp://127.0.0.1:${await freePort()}`;

async function replying(spec: string): Promise<Reply> {
  const reply = new Reply({ linger: 0 });
  await reply.bind(spec);
  return reply;
}

describe("RequestClient", () => {
  test("each question has its answer, many at a time", async () => {
    const spec = await address();
    const reply = await replying(spec);
    const client = new RequestClient(spec, 10_000);
    const serving = (async () => {
      for (let count = 0; count < 20; count++) {
        const [question] = await reply.receive();
        await reply.send(`answer to ${question}`);
      }
    })();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, number) => client.request(Buffer.from(`question ${number}`))),
    );
    assert.deepEqual(
      answers.map(String),
      Array.from({ length: 20 }, (_, number) => `answer to question ${number}`),
    );
    await serving;
    reply.close();
  });

  test("where nobody is the question is given up, in words", async () => {
    const spec = await address();
    await assert.rejects(new RequestClient(spec, 50).request(Buffer.from("?")), {
      code: "unavailable",
      message: `no answer at ${spec} within 50 ms`,
    });
  });

  test("an answer that comes too late is not taken for that of the next question", async () => {
    const spec = await address();
    const reply = await replying(spec);
    const client = new RequestClient(spec, 100);
    const first = client.request(Buffer.from("first"));
    await reply.receive();
    await assert.rejects(first, { code: "unavailable" });
    await reply.send("late");
    const second = new RequestClient(spec, 10_000).request(Buffer.from("second"));
    const [question] = await reply.receive();
    assert.equal(String(question), "second");
    await reply.send("in time");
    assert.equal(String(await second), "in time");
    reply.close();
  });

  test("an address that is none is an error of the link, not a silence", async () => {
    await assert.rejects(new RequestClient("nonsense", 50).request(Buffer.from("?")), { code: "link_failed" });
  });
});
