import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { clusterConditions } from "../../src/cluster/cluster-conditions.js";
import { conditionTexts } from "../../src/util/condition-texts.js";
import type { Conditions } from "../../src/util/conditions.js";

function setUp() {
  const standing = new Map<string, string>();
  const conditions = {
    begin: ({ code, message }: { code: string; message: string }) => standing.set(code, message),
    end: (code: string) => standing.delete(code),
  };
  return { standing, observer: clusterConditions(conditions as unknown as Conditions) };
}

describe("clusterConditions", () => {
  test("has a condition while the stream is not followed", () => {
    const { standing, observer } = setUp();
    observer.changed("cable cut");
    assert.deepEqual([...standing], [["cluster_unavailable", conditionTexts.clusterUnavailable("cable cut").message]]);
    observer.changed(undefined);
    assert.equal(standing.size, 0);
  });

  test("has a condition while the stream refuses publications", () => {
    const { standing, observer } = setUp();
    observer.refused("no space");
    assert.deepEqual([...standing], [["storage_failing", conditionTexts.streamRefuses("no space").message]]);
    observer.refused(undefined);
    assert.equal(standing.size, 0);
  });
});
