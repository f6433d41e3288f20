/** The model of model.test.ts with a real NATS server: few runs, whose steps are always the same. */
import { describe, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { natsDial } from "../../src/cluster/nats.js";
import { type Clock, systemClock } from "../../src/util/clock.js";
import { type NatsServer, startNats, startWire } from "../support/nats.js";
import { runModel } from "../support/run-model.js";
import { ALL, natsOptions } from "./course.js";
import { commands } from "./model/commands.js";
import { type Backend, World } from "./model/world.js";

const RUNS = 6;
const SEED = 25;
/** NATS reserves them for each stream. */
const STREAM_BYTES = 10_000_000;

async function backend(t: TestContext, nats: NatsServer, stream: string, maxEvents: number): Promise<Backend> {
  let ahead = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + ahead };
  const options = (url: string) => natsOptions(url, { stream, limits: { ...ALL, maxEvents, maxBytes: STREAM_BYTES } });
  const wires = await Promise.all([1, 2].map(() => startWire(t, nats.port)));
  const stored = async () => {
    const session = await natsDial(options(nats.url), systemClock)();
    const messages = await session.read(0, (await session.inspect())?.last ?? 0);
    await session.close();
    return messages.map(({ data }) => Buffer.from(data).toString());
  };
  return {
    ...{ clock, stored, isTrimmed: maxEvents < ALL.maxEvents },
    pass(ms) {
      ahead += ms;
    },
    wait: () => pause(1),
    wires: wires.map((wire) => ({
      dial: natsDial(options(wire.url), clock),
      cut: () => wire.cut(),
      restore: () => wire.restore(),
    })),
  };
}

describe("Two nodes against a model, with NATS", () => {
  test("no client gets an event twice, late or foreign, or misses one untold", async (t) => {
    const nats = await startNats(t);
    const samples = fc.sample(commands(false, { minLength: 40, maxLength: 60 }), { numRuns: RUNS, seed: SEED });
    for (const [at, steps] of samples.entries()) {
      const world = new World(await backend(t, nats, `model${at}`, at % 2 === 0 ? ALL.maxEvents : 30));
      await runModel(world, steps);
    }
  });
});
