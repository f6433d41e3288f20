import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ProtocolError } from "../../src/errors.js";
import type { DaemonEvent, EventOf } from "../../src/hub/events.js";
import { combineObservers } from "../../src/hub/observers.js";
import { CLIENT, condition, publication } from "../observability/metrics/harness.js";

const error = new ProtocolError("invalid", "x");
const server = "main";

/** One event of each type. */
const EVENTS: { readonly [Type in DaemonEvent["type"]]: EventOf<Type> } = {
  clientConnected: { type: "clientConnected", server, client: CLIENT, clients: 1 },
  clientAdopted: { type: "clientAdopted", server, client: CLIENT, clients: 1 },
  clientDisconnected: { type: "clientDisconnected", server, client: CLIENT, reason: "left", clients: 0 },
  topicsChanged: { type: "topicsChanged", server, client: CLIENT },
  published: { type: "published", publication: publication(1) },
  removed: { type: "removed", removal: { topic: "news", through: 1 } },
  idRepeated: { type: "idRepeated", topic: "news" },
  flushed: { type: "flushed", server, flush: { bodies: 1, frames: 1, bytes: 1, deliveries: 1, oldest: undefined } },
  stateRequested: { type: "stateRequested", server, kind: "latest" },
  clientsFellBehind: { type: "clientsFellBehind", server, reason: "no credit", clients: 2 },
  gapReported: { type: "gapReported", server, reason: "expired", clients: [] },
  linkLive: { type: "linkLive", server, milliseconds: 1 },
  linkLost: { type: "linkLost", server, reason: "no answer" },
  flushAcknowledged: { type: "flushAcknowledged", server, milliseconds: 1 },
  malformedMessage: { type: "malformedMessage", server, error },
  staleMessagesDropped: { type: "staleMessagesDropped", server, messages: 1 },
  identMismatch: { type: "identMismatch", server, configured: "a", received: "b" },
  controlPortFailed: { type: "controlPortFailed", server, error },
  adoptionCompleted: { type: "adoptionCompleted", server, adopted: 1, cancelled: 0, gone: 0, proven: true },
  orphansClosed: { type: "orphansClosed", server, connections: 3, rule: "exclusive" },
  publicationRejected: { type: "publicationRejected", source: "zmq", error },
  publicationRepeated: { type: "publicationRepeated" },
  webhookEventsLost: { type: "webhookEventsLost", webhook: "main", count: 1 },
  keysEvicted: { type: "keysEvicted", count: 2 },
  peerRejected: { type: "peerRejected", address: "tcp://127.0.0.1:9997", error, peer: "127.0.0.1:50000" },
  zmqConnectionLost: { type: "zmqConnectionLost", error },
  requestCompleted: { type: "requestCompleted", server, route: "/esupdates", status: 401, reason: "no token" },
  spansHandled: { type: "spansHandled", result: "dropped", spans: 1 },
  conditionBegan: { type: "conditionBegan", condition: condition("overloaded") },
  conditionEnded: { type: "conditionEnded", condition: condition("overloaded"), milliseconds: 1 },
};
const rethrow = (failure: unknown) => {
  throw failure;
};
const TYPES = Object.keys(EVENTS) as DaemonEvent["type"][];

describe("Observers", () => {
  test("get each event in their order, unchanged", () => {
    const seen: unknown[] = [];
    const record = (name: string) => (event: DaemonEvent) => void seen.push([name, event]);
    const observe = combineObservers([record("first"), record("second")], rethrow);
    for (const type of TYPES) {
      observe(EVENTS[type]);
      assert.deepEqual(seen.splice(0), [
        ["first", EVENTS[type]],
        ["second", EVENTS[type]],
      ]);
    }
  });

  test("do not suffer from one that throws, and neither does the part that emitted the event", () => {
    const seen: DaemonEvent[] = [];
    const failures: unknown[] = [];
    const mistake = new TypeError("a mistake");
    const broken = () => {
      throw mistake;
    };
    const other = (event: DaemonEvent) => void seen.push(event);
    const failed = (failure: unknown) => failures.push(failure);
    for (const order of [
      [broken, other],
      [other, broken],
    ]) {
      const observe = combineObservers(order, failed);
      for (const type of TYPES) {
        observe(EVENTS[type]);
        assert.deepEqual(seen.splice(0), [EVENTS[type]]);
        assert.deepEqual(failures.splice(0), [mistake]);
      }
    }
  });
});
