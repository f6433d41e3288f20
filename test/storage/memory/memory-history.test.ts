import { describe } from "node:test";
import { MemoryHistory } from "../../../src/storage/memory/memory-history.js";
import { historySuite, type Open } from "../../contract/history.js";
import { removalSuite } from "../../contract/removal.js";

describe("MemoryHistory", () => {
  const open: Open = async (_, { maxEvents = 1e9, maxAge = 1e15, maxBytes = 1e12, ...rest }, clock) =>
    new MemoryHistory({ maxEvents, maxAge, maxBytes, ...rest }, clock);
  historySuite("memory", open);
  removalSuite("memory", open);
});
