import { describe } from "node:test";
import { MemoryHistory } from "../../../src/storage/memory/memory-history.js";
import { historySuite } from "../../contract/history.js";

describe("MemoryHistory", () => {
  historySuite("memory", async (_, { maxEvents = 1e9, maxAge = 1e15, maxBytes = 1e12, ...rest }, clock) => {
    return new MemoryHistory({ maxEvents, maxAge, maxBytes, ...rest }, clock);
  });
});
