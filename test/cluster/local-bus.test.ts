import { describe } from "node:test";
import { LocalBus } from "../../src/cluster/local-bus.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { systemClock } from "../../src/util/clock.js";
import { busSuite } from "../contract/bus.js";

describe("LocalBus", () => {
  busSuite("local", (t) => ({
    async open() {
      const history = new MemoryHistory({ maxEvents: 1e9, maxAge: 1e15, maxBytes: 1e12 }, systemClock);
      const bus = new LocalBus(history, systemClock);
      t.after(() => bus.close());
      return { bus, history };
    },
  }));
});
