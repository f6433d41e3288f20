/** The bus of several daemons over a real NATS server. */
import { describe } from "node:test";
import { natsDial } from "../../src/cluster/nats.js";
import { systemClock } from "../../src/util/clock.js";
import { busSuite, type OpenCourse, sharedBusSuite } from "../contract/bus.js";
import { startNats, startWire } from "../support/nats.js";
import { ALL, natsOptions, openEnd } from "./course.js";

const open: OpenCourse = async (t, limits) => {
  const nats = await startNats(t);
  return {
    async open() {
      const wire = await startWire(t, nats.port);
      const dial = natsDial(natsOptions(wire.url, { limits: { ...ALL, ...limits } }), systemClock);
      return Object.assign(await openEnd(t, dial), { wire });
    },
  };
};

describe("NATS", () => {
  busSuite("NATS", open);
  sharedBusSuite("NATS", open);
});
