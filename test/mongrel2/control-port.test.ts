/** Mongrel2's control port over one lasting connection, to a REP socket of libzmq that answers, is silent, ends and comes back. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { Reply } from "zeromq";
import { ControlPort } from "../../src/mongrel2/control-port.js";
import { encode } from "../../src/protocol/tnetstring.js";
import { FakeClock } from "../support/clock.js";
import { Changes } from "../support/deadline.js";
import { freePort } from "../support/ports.js";
import { removeDirectory, temporaryDirectory } from "../support/processes.js";

const CHECK_INTERVAL_MS = 10_000;
const CHECK_TIMEOUT_MS = 5000;
const LINK_TIMEOUT_MS = 60_000;
const UNREACHABLE = "unreachable: no reply within 5000 ms";
const UUID = encode(
  new Map<string, never>([
    ["headers", ["uuid"] as never],
    ["rows", [["u"]] as never],
  ]),
);

interface Options {
  readonly transport?: "tcp" | "ipc";
  readonly linkTimeoutMs?: number;
}

async function setUp(t: TestContext, { transport = "tcp", linkTimeoutMs = LINK_TIMEOUT_MS }: Options = {}) {
  const dir = temporaryDirectory();
  t.after(() => removeDirectory(dir));
  const spec = transport === "tcp" ? `tcp://127.0.0.1:${await freePort()}` : `ipc://${join(dir, "control")}`;
  const clock = new FakeClock();
  const changes = new Changes();
  const told: string[] = [];
  const tell = (what: string) => {
    told.push(what);
    changes.tell();
  };
  const mongrel2 = { answers: true };
  const port = new ControlPort({
    spec,
    clock,
    linkTimeoutMs,
    isMongrel2Answering: () => mongrel2.answers,
    events: {
      connected: () => tell("connected"),
      ended: (isClosed) => tell(isClosed ? "ended" : "cut"),
      reachable: () => tell("reachable"),
      unreachable: (error) => tell(`unreachable: ${error instanceof Error ? error.message.split(": ").at(-1) : error}`),
    },
  });
  const bind = async () => {
    const reply = new Reply({ linger: 0 });
    await reply.bind(spec);
    t.after(() => reply.close());
    return reply;
  };
  const reply = await bind();
  t.after(() => port.close());
  return {
    clock,
    told,
    mongrel2,
    port,
    reply,
    bind,
    until: (count: number) =>
      changes.until(
        () => told.length >= count,
        `${count} events`,
        undefined,
        () => `; ${told.join(", ")}`,
      ),
    /** Every check fails until nothing has been answered for the link timeout. */
    async silence() {
      clock.advance(CHECK_TIMEOUT_MS);
      for (let passed = 0; passed < LINK_TIMEOUT_MS; passed += CHECK_INTERVAL_MS) {
        const before = told.length;
        clock.advance(CHECK_INTERVAL_MS);
        await changes.until(() => told.length > before, "a check to fail");
      }
    },
  };
}

async function answer(reply: Reply): Promise<string> {
  const [question] = await reply.receive();
  await reply.send(UUID);
  return String(question);
}

/** Lets the clock go with the time, for the pauses between two tries to connect. */
async function whileRunning<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  const ticks = setInterval(() => clock.advance(10), 10);
  return promise.finally(() => clearInterval(ticks));
}

/** Connected, and its first check is answered. */
async function started(t: TestContext, options: Options = {}) {
  const it = await setUp(t, options);
  await it.port.start();
  await answer(it.reply);
  await it.until(2);
  assert.deepEqual(it.told.splice(0), ["connected", "reachable"]);
  return it;
}

describe("ControlPort", () => {
  test("asks for the uuid at the start and every 10 s, over one connection", async (t) => {
    const { clock, told, reply, until, port } = await started(t);
    for (let check = 1; check <= 3; check++) {
      clock.advance(CHECK_INTERVAL_MS);
      assert.match(await answer(reply), /4:uuid/);
      await until(check);
    }
    assert.deepEqual(told, ["reachable", "reachable", "reachable"]);
    assert.equal(port.session, 1);
  });

  test("tells of a check that is not answered within 5 s, and of the next one that is", async (t) => {
    const { clock, told, reply, until } = await started(t);
    clock.advance(CHECK_INTERVAL_MS);
    clock.advance(CHECK_TIMEOUT_MS);
    await until(1);
    // Too late for the first question.
    await answer(reply);
    clock.advance(CHECK_INTERVAL_MS - CHECK_TIMEOUT_MS);
    await answer(reply);
    await until(2);
    assert.deepEqual(told, [UNREACHABLE, "reachable"]);
  });

  test("tells at once when the other end ends, and asks the next one as soon as it is there", async (t) => {
    const { clock, told, reply, until, bind, port } = await started(t);
    reply.close();
    await until(1);
    assert.equal(port.session, undefined);
    const next = await bind();
    await whileRunning(clock, answer(next));
    await until(3);
    assert.deepEqual(told, ["ended", "connected", "reachable"]);
    assert.equal(port.session, 2);
  });

  test("reconnects over TCP when a connection gets no answer although Mongrel2 answers on the link", async (t) => {
    const { clock, told, silence, port, until } = await started(t);
    await silence();
    const failures = Array.from({ length: LINK_TIMEOUT_MS / CHECK_INTERVAL_MS }, () => UNREACHABLE);
    await whileRunning(clock, until(failures.length + 2));
    assert.deepEqual(told, [...failures, "cut", "connected"]);
    assert.equal(port.session, 2);
  });

  test("keeps it while Mongrel2 itself is silent, where it is local, and where no time is set", async (t) => {
    const silent = await started(t);
    silent.mongrel2.answers = false;
    const local = await started(t, { transport: "ipc" });
    const timeless = await started(t, { linkTimeoutMs: 0 });
    for (const { silence, told, port } of [silent, local, timeless]) {
      await silence();
      assert.deepEqual([...new Set(told)], [UNREACHABLE]);
      assert.equal(port.session, 1);
    }
  });

  test("says over which connection a question is answered now, or that none is", async (t) => {
    const { clock, reply, port } = await started(t);
    const answering = port.repliedSession();
    await answer(reply);
    assert.equal(await answering, 1);
    const unanswered = port.repliedSession();
    clock.advance(2000);
    assert.equal(await unanswered, undefined);
  });

  test("tells nothing after close(), and leaves no timer", async (t) => {
    const { clock, told, port } = await started(t);
    clock.advance(CHECK_INTERVAL_MS);
    await port.close();
    clock.advance(10 * CHECK_INTERVAL_MS);
    assert.deepEqual([told, clock.waiting], [[], 0]);
  });
});
