/** Questions over one lasting connection, to REP sockets of libzmq that answer, answer late, end, and come back. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Reply } from "zeromq";
import { systemClock } from "../../src/util/clock.js";
import { RequestSession } from "../../src/zmq/request-session.js";
import { Changes } from "../support/deadline.js";
import { freePort } from "../support/ports.js";

const LONG_MS = 20_000;

async function setUp(t: TestContext) {
  const spec = `tcp://127.0.0.1:${await freePort()}`;
  const told: string[] = [];
  const changes = new Changes();
  const tell = (what: string) => {
    told.push(what);
    changes.tell();
  };
  const session = new RequestSession(spec, systemClock, {
    connected: () => tell(`connected ${session.session}`),
    ended: (isClosed) => tell(isClosed ? "ended" : "cut"),
    replied: () => {},
  });
  await session.start();
  t.after(() => session.close());
  return {
    session,
    told,
    until: (count: number) => changes.until(() => told.length >= count, `${count} events`),
    async bind() {
      const reply = new Reply({ linger: 0 });
      await reply.bind(spec);
      t.after(() => reply.close());
      return reply;
    },
  };
}

async function answer(reply: Reply): Promise<string> {
  const [question] = await reply.receive();
  await reply.send(`answer to ${question}`);
  return String(question);
}

describe("RequestSession", () => {
  test("many questions go over one connection, and each has its answer", async (t) => {
    const { session, told, bind } = await setUp(t);
    const reply = await bind();
    const questions = Array.from({ length: 20 }, (_, number) => `question ${number}`);
    const answers = Promise.all(questions.map((question) => session.request([Buffer.from(question)], LONG_MS)));
    for (const _ of questions) await answer(reply);
    assert.deepEqual(
      (await answers).map((it) => [it.answer.toString(), it.session]),
      questions.map((question) => [`answer to ${question}`, 1]),
    );
    assert.deepEqual(told, ["connected 1"]);
  });

  test("the end of the other end is told, and the next connection has another number", async (t) => {
    const { session, told, until, bind } = await setUp(t);
    const first = await bind();
    await until(1);
    first.close();
    await until(2);
    assert.equal(session.session, undefined);
    await bind();
    await until(3);
    assert.deepEqual(told, ["connected 1", "ended", "connected 2"]);
  });

  test("a question waits for a connection; one that was under way when it ends fails", async (t) => {
    const { session, until, bind } = await setUp(t);
    const early = session.request([Buffer.from("early")], LONG_MS);
    const reply = await bind();
    await answer(reply);
    assert.equal(String((await early).answer), "answer to early");
    const lost = session.request([Buffer.from("lost")], LONG_MS);
    await reply.receive();
    reply.close();
    await assert.rejects(lost, { code: "unavailable", message: /the connection has ended/ });
    await until(2);
  });

  test("an answer that comes too late is not taken for that of the next question, and the connection lasts", async (t) => {
    const { session, told, until, bind } = await setUp(t);
    const reply = await bind();
    await until(1);
    const late = session.request([Buffer.from("late")], 50);
    await assert.rejects(late, { code: "unavailable", message: /no reply within 50 ms/ });
    await reply.receive();
    const next = session.request([Buffer.from("next")], LONG_MS);
    await reply.send("too late");
    assert.equal(await answer(reply), "next");
    assert.equal(String((await next).answer), "answer to next");
    assert.deepEqual(told, ["connected 1"]);
  });

  test("an abandoned connection is replaced, and its end is not reported", async (t) => {
    const { session, told, until, bind } = await setUp(t);
    await bind();
    await until(1);
    session.reconnect();
    await until(2);
    assert.deepEqual(told, ["connected 1", "connected 2"]);
  });

  test("where nobody is the question is given up, in words; an address that is none is an error of the link", async (t) => {
    const { session } = await setUp(t);
    await assert.rejects(session.request([Buffer.from("?")], 20), { code: "unavailable" });
    const nonsense = new RequestSession("nonsense", systemClock, { connected() {}, ended() {}, replied() {} });
    await assert.rejects(nonsense.start(), { code: "link_failed" });
  });
});
