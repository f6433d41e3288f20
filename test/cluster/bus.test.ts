/** The bus of several daemons over a stream in memory that can be cut; with a clock that is twenty times as fast. */
import { busSuite, type OpenCourse, sharedBusSuite } from "../contract/bus.js";
import { hurried, openEnd } from "./course.js";
import { FakeStream } from "./fake-stream.js";

const open: OpenCourse = (t, { maxEvents }) => {
  const stream = new FakeStream(maxEvents);
  return {
    async open() {
      const wire = stream.wire();
      return Object.assign(await openEnd(t, wire.dial, { clock: hurried(20) }), { wire });
    },
  };
};

busSuite("stream in memory", open);
sharedBusSuite("stream in memory", open);
