import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { M2pushError } from "../../src/errors.js";
import { errorResponse } from "../../src/http/error-response.js";
import type { PublishedEvent } from "../../src/hub/bus.js";
import type { Draft } from "../../src/protocol/publication.js";
import { Publisher } from "../../src/publishing/publisher.js";

const ORIGIN = { publisher: "test" };
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

  test("rejects more events than the rate of their publisher allows, and tells when to repeat them", async () => {
    const published: string[] = [];
    const asked: (string | number)[] = [];
    const hub = {
      publish: async ({ data }: Draft) => {
        published.push(data);
        return { id: "1" } as never;
      },
      publishAll: () => assert.fail("no batch"),
    };
    const rates = {
      take: (scope: string, drafts: readonly Draft[]) => {
        asked.push(scope, drafts.length);
        return published.length === 0 ? 0 : 2500;
      },
    };
    const publisher = new Publisher({ hub, keys: { findKey: () => undefined }, repeated: () => {}, rates });
    await publisher.publish({ drafts: [draft("a")], ...ORIGIN });
    const error = await publisher.publish({ drafts: [draft("b"), draft("c")], ...ORIGIN }).catch((it) => it);
    assert.deepEqual([error.code, error.retryAfterMs], ["rate_limited", 2500]);
    assert.deepEqual([published, asked], [["a"], ["test", 1, "test", 2]]);
    const { status, headers } = errorResponse(error);
    assert.deepEqual([status, headers], [429, { "Retry-After": "3" }]);
  });
});
