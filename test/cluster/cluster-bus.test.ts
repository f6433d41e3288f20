/** The bus of several daemons over a stream in memory that can be cut; time passes only while nothing else happens. */
import { describe } from "node:test";
import { busSuite, type OpenCourse, sharedBusSuite } from "../contract/bus.js";
import { eagerClock } from "../support/clock.js";
import { openEnd } from "./course.js";
import { FakeStream } from "./fake-stream.js";

const open: OpenCourse = (t, { maxEvents }) => {
  const stream = new FakeStream(maxEvents);
  const clock = eagerClock();
  return {
    async open() {
      const wire = stream.wire();
      return Object.assign(await openEnd(t, wire.dial, { clock }), { wire });
    },
  };
};

describe("Cluster bus", () => {
  busSuite("stream in memory", open);
  sharedBusSuite("stream in memory", open);
});
