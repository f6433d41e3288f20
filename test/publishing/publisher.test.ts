import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { M2pushError } from "../../src/errors.js";
import type { PublishedEvent } from "../../src/hub/bus.js";
import type { Draft } from "../../src/protocol/publication.js";
import { Publisher } from "../../src/publishing/publisher.js";

const ORIGIN = { publisher: "test", source: "http" } as const;
const draft = (data: string): Draft => ({ topics: ["t"], data, private: false });

describe("Publisher", () => {
  test("publishes a batch at once, and each event has its own result", async () => {
    const batches: string[][] = [];
    const error = new M2pushError("unavailable", "not acknowledged");
    const hub = {
      publish: () => assert.fail("a batch is published at once"),
      publishAll: async (drafts: readonly Draft[]): Promise<readonly PublishedEvent[]> => {
        batches.push(drafts.map(({ data }) => data));
        return [{ id: "1" }, { error }];
      },
    };
    const published = await new Publisher({ hub, keys: { findKey: () => undefined }, repeated: () => {} }).publish({
      drafts: [draft("a"), draft("b")],
      ...ORIGIN,
    });
    assert.deepEqual(published, [{ id: "1" }, { error }]);
    assert.deepEqual(batches, [["a", "b"]]);
  });
});
