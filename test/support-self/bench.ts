/** A fake Mongrel2 and a handler for it, for one test. */
import assert from "node:assert/strict";
import type { FakeClient } from "../support/fake-client.js";
import { FakeMongrel2, type FakeOptions } from "../support/fake-mongrel2.js";
import { RawHandler } from "../support/handler.js";

export interface Bench {
  readonly fake: FakeMongrel2;
  readonly handler: RawHandler;
  /** A browser whose request has reached the handler. */
  browser(): Promise<FakeClient>;
  stop(): Promise<void>;
}

export async function startBench(options: FakeOptions = {}): Promise<Bench> {
  const fake = await FakeMongrel2.start(options);
  const handler = await RawHandler.connect(fake);
  const browser = async () => {
    const client = fake.connect();
    assert.equal((await handler.request()).id, client.id);
    return client;
  };
  const stop = async () => {
    await handler.close();
    await fake.stop();
  };
  return { fake, handler, browser, stop };
}

export function repeat(times: number, send: (i: number) => unknown): void {
  for (let i = 0; i < times; i++) send(i);
}
