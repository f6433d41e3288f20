/**
 * What a handler may rely on, run against the fake Mongrel2 and against the real one: as long as both pass, tests that use the
 * fake say something about the real one.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { RawHandler } from "../support/handler.js";

/** A browser's connection, seen from the browser. */
interface Browser {
  /** Everything received so far. */
  readonly text: string;
  readonly isOver: boolean;
  received(part: string): Promise<unknown>;
  over(): Promise<unknown>;
  leave(): void;
}

export interface World {
  readonly server: { readonly sendSpec: string; readonly recvSpec: string; readonly sendIdent: string };
  /** A browser that asks for the stream. */
  browse(): Browser;
  close(): Promise<unknown>;
}

const MAX_TARGETS = 128;
const MAX_OUTSTANDING = 16;

/** `count` ids that no connection has. */
function deadIds(count: number, from = 700_001): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

export function scenario(name: string, open: () => Promise<World>): void {
  describe(name, () => {
    let world: World;
    let handler: RawHandler;

    before(async () => {
      world = await open();
      handler = await RawHandler.connect(world.server);
    });
    after(async () => {
      await handler.close();
      await world.close();
    });

    /** A browser whose request has reached the handler. */
    async function browser(): Promise<{ browser: Browser; id: number }> {
      const browser = world.browse();
      const { id } = await handler.request();
      handler.forget();
      return { browser, id };
    }

    /** Lets browsers go, until their notices are there: they would fall into the next test. */
    async function leave(...browsers: Browser[]): Promise<void> {
      handler.forget();
      for (const browser of browsers) browser.leave();
      for (const _ of browsers) await handler.next(({ kind }) => kind === "disconnect");
    }

    test("connections are numbered from 1", async () => {
      const { browser: first, id } = await browser();
      assert.equal(id, 1);
      await leave(first);
    });

    test("fences are answered in order, after everything before them was taken", async () => {
      handler.forget();
      const fences = [handler.fenceFrame(), handler.fenceFrame()];
      void handler.send([700_001], "x");
      fences.push(700_001, handler.fenceFrame());
      await handler.fence();
      assert.deepEqual(
        handler.received.slice(0, 4).map(({ id }) => id),
        fences,
      );
    });

    test("each dead id of a frame is answered with a notice, in the order of the frame, but not for a cancel", async () => {
      handler.forget();
      void handler.send([700_009, 700_003, 700_003], "x");
      void handler.send([700_005], "");
      void handler.keepAlive([700_001]);
      void handler.cancel([700_007]);
      await handler.fence();
      assert.deepEqual(handler.notices, [700_009, 700_003, 700_003, 700_005, 700_001]);
    });

    test("16 messages in a row all reach a browser", async () => {
      const { browser: one, id } = await browser();
      for (let i = 0; i < MAX_OUTSTANDING; i++) void handler.send([id], `(${i})`);
      await handler.fence();
      await one.received(`(${MAX_OUTSTANDING - 1})`);
      assert.equal(one.text, Array.from({ length: MAX_OUTSTANDING }, (_, i) => `(${i})`).join(""));
      assert.deepEqual(handler.notices, []);
      await leave(one);
    });

    // The fence alone would not do: see "a fence is no proof that anything was written" in fake-mongrel2.test.ts.
    test("windows of 8 messages, each begun when the browser has the one before, lose nothing", async () => {
      const { browser: one, id } = await browser();
      for (let window = 0; window < 50; window++) {
        for (let i = 0; i < 8; i++) void handler.send([id], `(${window}.${i})`);
        await handler.fence();
        await one.received(`(${window}.7)`);
      }
      assert.deepEqual(handler.notices, []);
      await leave(one);
    });

    test("a frame goes to everyone it names, and dead ids among them hurt nobody", async () => {
      const { browser: one, id: first } = await browser();
      const { browser: two, id: second } = await browser();
      void handler.send([second, 700_001, first], "both");
      await Promise.all([one.received("both"), two.received("both")]);
      await handler.fence();
      assert.deepEqual(handler.notices, [700_001]);
      await leave(one, two);
    });

    test("a frame may name 128 connections, an extended one too, and not one more", async () => {
      handler.forget();
      void handler.send(deadIds(MAX_TARGETS), "x");
      void handler.keepAlive(deadIds(MAX_TARGETS));
      await handler.fence();
      assert.equal(handler.notices.length, 2 * MAX_TARGETS);
      handler.forget();
      void handler.send(deadIds(MAX_TARGETS + 1), "x");
      void handler.keepAlive(deadIds(MAX_TARGETS + 1));
      await handler.fence();
      assert.deepEqual(handler.notices, []);
    });

    test("malformed frames are skipped", async () => {
      const { browser: one, id } = await browser();
      // Few, because the real one stops for half a second at each.
      for (const bad of ["rubbish", "2:1, x", "4:1  2, x"]) void handler.raw(`${handler.sender} ${bad}`);
      void handler.send([id], "good");
      await one.received("good");
      assert.equal(one.text, "good");
      await leave(one);
    });

    test("after a malformed extended frame the next good one is lost", async () => {
      const { browser: one, id } = await browser();
      void handler.raw(`${handler.sender} 4:X 1x, 27:3:ctl,17:10:keep-alive,0:,}]`);
      void handler.send([id], "lost");
      void handler.send([id], "good");
      await one.received("good");
      assert.equal(one.text, "good");
      await leave(one);
    });

    test("an empty body closes after what is queued, without a notice", async () => {
      const { browser: one, id } = await browser();
      void handler.send([id], "last words");
      void handler.send([id], "");
      await one.over();
      assert.equal(one.text, "last words");
      await handler.fence();
      assert.deepEqual(handler.notices, []);
      void handler.send([id], "x");
      await handler.next(({ kind }) => kind === "disconnect");
      assert.deepEqual(handler.notices, [id]);
    });

    test("an extended reply that is no list of two has no effect, one of an unknown kind kills", async () => {
      const { browser: one, id } = await browser();
      const extended = (body: string) => handler.raw(`${handler.sender} ${`X ${id}`.length}:X ${id}, ${body}`);
      for (const body of ["", "rubbish", "5:hello,", "6:3:ctl,]", "27:3:ctl,17:10:keep-alive,0:,}]x", "9:3:ctl,0:}]"]) {
        void extended(body);
      }
      void handler.send([id], "alive");
      await one.received("alive");
      void extended("15:8:sendfile,1:x,]");
      await one.over();
      await handler.fence();
      assert.deepEqual(handler.notices, []);
    });

    test("a cancel ends a connection at once, without a notice", async () => {
      const { browser: one, id } = await browser();
      void handler.cancel([id]);
      await one.over();
      await handler.fence();
      assert.deepEqual(handler.notices, []);
    });

    test("a browser that leaves is announced once", async () => {
      const { browser: one, id } = await browser();
      one.leave();
      await handler.next(({ kind }) => kind === "disconnect");
      await handler.fence();
      assert.deepEqual(handler.notices, [id]);
    });

    test("a message in two parts closes the connection and is malformed", async () => {
      const { browser: one, id } = await browser();
      void handler.parts(`${handler.sender} ${String(id).length}:${id}, `, "body");
      await one.over();
      assert.equal(one.text, "");
    });
  });
}
