/**
 * Two nodes of a cluster at random, against a model: publications with a ttl, private and final ones, removals, trims, restarts, cut wires,
 * streams that ask for their state, come back to either node, and change their topics. No client is sent an event twice, out of order, after
 * its expiry or removal, or one that is not for it; none misses one without being told; the stream keeps nothing of what was removed.
 */
import { describe, test } from "node:test";
import fc from "fast-check";
import { FakeClock } from "../support/clock.js";
import { runModel } from "../support/run-model.js";
import { FakeStream } from "./fake-stream.js";
import { type Command, commands } from "./model/commands.js";
import { World } from "./model/world.js";

async function run(maxEvents: number, steps: readonly Command[]): Promise<void> {
  const clock = new FakeClock();
  const stream = new FakeStream(maxEvents, () => clock.now());
  const world = new World({
    clock,
    isTrimmed: maxEvents < Number.POSITIVE_INFINITY,
    wires: [stream.wire(), stream.wire()],
    pass: (ms) => clock.advance(ms),
    async wait(ms) {
      clock.advance(ms);
      await new Promise((resolve) => setImmediate(resolve));
    },
    stored: async () => stream.messages.map(({ data }) => Buffer.from(data).toString()),
  });
  await runModel(world, steps);
}

describe("Two nodes against a model", () => {
  for (const [what, maxEvents] of [
    ["while nothing is trimmed", Number.POSITIVE_INFINITY],
    ["while the oldest events are trimmed", 12],
  ] as const) {
    test(`no client gets an event twice, late or foreign, or misses one untold, ${what}`, async () => {
      const property = fc.asyncProperty(commands(true, { minLength: 20, maxLength: 80 }), (it) => run(maxEvents, it));
      await fc.assert(property, { numRuns: 60, includeErrorInReport: true });
    });
  }
});
