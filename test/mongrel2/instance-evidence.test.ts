import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InstanceEvidence } from "../../src/mongrel2/instance-evidence.js";

/** A link and a control port: `port.session` is the present connection, `answers` says whether anything is answered over it. */
function setUp() {
  const port = {
    session: 1 as number | undefined,
    answers: true,
    repliedSession: async () => (port.answers ? port.session : undefined),
  };
  const fences: (() => void)[] = [];
  const evidence = new InstanceEvidence({ port, afterFence: (passed) => fences.push(passed) });
  return {
    port,
    evidence,
    /** The link becomes live and its fences pass. */
    async live() {
      const instance = await evidence.linkLive();
      for (const passed of fences.splice(0)) passed();
      return instance;
    },
    lost(isAcknowledged = true) {
      fences.length = 0;
      evidence.linkLost(isAcknowledged);
    },
    pass() {
      for (const passed of fences.splice(0)) passed();
    },
  };
}

describe("InstanceEvidence", () => {
  test("at the start of the process nothing is known", async () => {
    assert.equal(await setUp().live(), "unknown");
  });

  test("it is the same Mongrel2 where the control port's connection has lasted through a loss of the link, or several", async () => {
    const { live, lost } = setUp();
    await live();
    for (let loss = 0; loss < 3; loss++) {
      lost();
      assert.equal(await live(), "same");
    }
  });

  test("it is another one where that connection has ended and a later one answers", async () => {
    const { port, live, lost } = setUp();
    await live();
    lost();
    port.session = 2;
    assert.equal(await live(), "restarted");
    lost();
    assert.equal(await live(), "same", "the next loss is compared with the present one");
  });

  test("where no connection answers nothing is known: after control_stop there is none, and Mongrel2 goes on", async () => {
    const { port, live, lost } = setUp();
    await live();
    port.session = undefined;
    lost();
    assert.equal(await live(), "unknown");
  });

  test("a connection that is there and does not answer proves nothing", async () => {
    const { port, live, lost } = setUp();
    await live();
    lost();
    port.answers = false;
    assert.equal(await live(), "unknown");
  });

  test("a connection is not that of the link's Mongrel2 before a fence has passed while it lasted", async () => {
    const { port, evidence, live, lost, pass } = setUp();
    port.session = undefined;
    await live();
    port.session = 1;
    evidence.anchor();
    lost();
    assert.equal(await live(), "unknown", "Mongrel2 may have been another one already");
    lost();
    port.session = 2;
    evidence.anchor();
    pass();
    assert.equal(await live(), "restarted");
  });

  test("a connection that was cut says nothing by its end", async () => {
    const { port, evidence, live, lost } = setUp();
    await live();
    evidence.connectionCut();
    port.session = 2;
    lost();
    assert.equal(await live(), "unknown");
  });

  test("what is left of an earlier loss is not taken for what is left of this one", async () => {
    const { live, lost } = setUp();
    await live();
    lost(false);
    assert.equal(await live(), "unknown");
  });

  test("an answer that comes after the next loss is void, and two losses in a row leave nothing known", async () => {
    const { port, evidence, live, lost } = setUp();
    await live();
    lost();
    port.session = 2;
    const first = evidence.linkLive();
    lost();
    const second = evidence.linkLive();
    assert.deepEqual([await first, await second], [undefined, "unknown"]);
  });
});
