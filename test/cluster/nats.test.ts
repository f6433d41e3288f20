/** The bus of several daemons over a real NATS server. */
import { describe, type TestContext } from "node:test";
import { natsDial } from "../../src/cluster/nats.js";
import { systemClock } from "../../src/util/clock.js";
import { busSuite, type OpenCourse, sharedBusSuite } from "../contract/bus.js";
import { sharedRemovalSuite } from "../contract/shared-removal.js";
import { startNats, startWire } from "../support/nats.js";
import { ALL, natsOptions, openEnd } from "./course.js";

const open = async (t: TestContext, limits: Parameters<OpenCourse>[1]) => {
  const nats = await startNats(t);
  const readStream = async () => {
    const session = await natsDial(natsOptions(nats.url), systemClock)();
    const messages = await session.read(0, (await session.inspect())?.last ?? 0);
    await session.close();
    return messages.map(({ data }) => Buffer.from(data).toString());
  };
  return {
    stored: readStream,
    async open(more: { readonly warmupMessages?: number } = {}) {
      const wire = await startWire(t, nats.port);
      const dial = natsDial(natsOptions(wire.url, { limits: { ...ALL, ...limits } }), systemClock);
      return Object.assign(await openEnd(t, dial, more), { wire });
    },
  };
};

describe("NATS", () => {
  busSuite("NATS", open);
  sharedBusSuite("NATS", open);
  sharedRemovalSuite("NATS", (t) => open(t, {}));
});
