/** The bus of several daemons over a stream in memory that can be cut; time passes only while nothing else happens. */
import { describe, type TestContext } from "node:test";
import { busSuite, type OpenCourse, sharedBusSuite } from "../contract/bus.js";
import { removalTakeoverSuite, sharedRemovalSuite } from "../contract/shared-removal.js";
import { eagerClock } from "../support/clock.js";
import { openEnd } from "./course.js";
import { FakeStream } from "./fake-stream.js";

const open = (t: TestContext, { maxEvents }: Parameters<OpenCourse>[1]) => {
  const stream = new FakeStream(maxEvents);
  const clock = eagerClock();
  return {
    stored: async () => stream.messages.map(({ data }) => Buffer.from(data).toString()),
    async open(options: { readonly warmupMessages?: number } = {}) {
      const wire = stream.wire();
      return Object.assign(await openEnd(t, wire.dial, { clock, ...options }), { wire });
    },
  };
};

describe("Cluster bus", () => {
  busSuite("stream in memory", open);
  sharedBusSuite("stream in memory", open);
  sharedRemovalSuite("stream in memory", (t) => open(t, {}));
  removalTakeoverSuite("stream in memory", (t) => open(t, {}));
});
