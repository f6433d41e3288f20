import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { WebhookQueue } from "../../src/client-events/webhook-queue.js";
import { eventStores } from "../support/event-store.js";

const event = { kind: "connect", time: 5, json: '{"a":1}' } as const;

describe("WebhookQueue", () => {
  test("a request whose extent cannot be stored is not sent, however often it is asked for", async (t) => {
    const store = await eventStores(t).open();
    const queue = new WebhookQueue({ name: "main", kinds: new Set(["connect"]), store, maxPending: 100 });
    store.append(event);
    const commit = t.mock.method(store, "commit", () => false);
    assert.deepEqual([queue.next(), queue.next()], [undefined, undefined]);
    commit.mock.restore();
    const batch = queue.next();
    assert.ok(batch && batch !== "later");
    assert.deepEqual([batch.events, batch.through], [1, 1]);
  });

  test("a request that is taken after its webhook was removed does not bring the webhook back", async (t) => {
    const store = await eventStores(t).open();
    const open = () => new WebhookQueue({ name: "main", kinds: new Set(["connect"]), store, maxPending: 100 });
    const removed = open();
    store.append(event);
    const batch = removed.next();
    assert.ok(batch && batch !== "later");
    store.keepPositions([]);
    removed.acknowledge(batch);
    assert.equal(store.position("main"), undefined);
    store.append(event);
    open();
    removed.acknowledge(batch);
    assert.deepEqual(store.position("main"), { through: 2 });
  });
});
