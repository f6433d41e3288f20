import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AddedReader } from "../../src/delivery/added-reader.js";
import type { CatchupGroup } from "../../src/delivery/catchup-groups.js";

describe("AddedReader", () => {
  test("ends a replay whose stored events cannot be read, instead of failing", async () => {
    const search = { run: () => Promise.reject(new Error("the index cannot be read")) };
    const options = { base: "http://hub.example/", search: () => search };
    const reader = new AddedReader(options as unknown as ConstructorParameters<typeof AddedReader>[0]);
    const group = { cursor: 7 } as unknown as CatchupGroup;
    const added = { selectors: ["exact\ta"], former: [], after: 0, request: { kind: "latest" } as const };
    const page = await reader.read(group, added, { left: 1000 });
    assert.deepEqual(page, { publications: [], through: 7, isUnavailable: true });
  });
});
