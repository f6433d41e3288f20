/** A metrics observer on a fake clock, and events of the hub for it. */

import type { Client } from "../../../src/delivery/client.js";
import { adminRoutes } from "../../../src/observability/admin/admin-routes.js";
import { Exposition } from "../../../src/observability/metrics/exposition.js";
import { MetricsObserver } from "../../../src/observability/metrics/metrics-observer.js";
import { RateSampler } from "../../../src/observability/metrics/rate-sampler.js";
import type { ServerSnapshot, Snapshot } from "../../../src/observability/metrics/snapshot.js";
import type { Publication } from "../../../src/protocol/publication.js";
import type { Clock } from "../../../src/util/clock.js";
import type { ActiveCondition, ConditionCode } from "../../../src/util/conditions.js";
import { FakeClock } from "../../support/clock.js";

/** Nothing of a client is counted but that it is there, and whether it catches up. */
export const CLIENT = { state: { name: "live" } } as Client;
export const BEHIND = { state: { name: "catchingUp" } } as Client;

export const publication = (offset: number, data = "x"): Publication => ({
  offset,
  id: `e.${offset}`,
  topics: ["t"],
  private: false,
  time: 0,
  bytes: Buffer.from(data),
});

export const serverSnapshot = (changes: Partial<ServerSnapshot> = {}): ServerSnapshot => ({
  name: "main",
  sendSpec: "tcp://127.0.0.1:9999",
  recvSpec: "tcp://127.0.0.1:9998",
  live: true,
  silent: false,
  clients: 0,
  catchingUp: 0,
  audiences: 0,
  queuedBodies: 0,
  maxBehindEvents: 0,
  ...changes,
});

export const snapshotOf = (changes: Partial<Snapshot> = {}): Snapshot => ({
  phase: "running",
  startedAt: Date.UTC(2020, 0, 1),
  uptime: 0,
  servers: [serverSnapshot()],
  history: { epoch: "e", last: 7, floor: 2, count: 5, kept: 1, bytes: 100, keys: 3 },
  conditions: [],
  nodes: undefined,
  compression: undefined,
  limits: [],
  eventFeed: undefined,
  webhooks: [],
  ...changes,
});

export const condition = (code: ConditionCode, more: Partial<ActiveCondition> = {}): ActiveCondition => ({
  code,
  subject: "",
  message: "it happened",
  fix: "undo it",
  since: 0,
  ...more,
});

export function metrics(snapshot: () => Snapshot = () => snapshotOf()) {
  const clock = new FakeClock();
  const observer = new MetricsObserver(clock);
  const exposition = new Exposition({ metrics: observer, snapshot, droppedLogLines: () => 0, version: "1.2.3" });
  return { clock, metrics: observer, observe: observer.observe, exposition };
}

/** A sampler of these metrics; the event loop is never late. */
export const rateSampler = (clock: Clock, { counters }: MetricsObserver): RateSampler =>
  new RateSampler({ clock, counters, lag: { take: () => [], close() {} }, observeLag() {} });

/** The routes of the admin address with these metrics, without a daemon. */
export function admin(snapshot: () => Snapshot = () => snapshotOf()) {
  const parts = metrics(snapshot);
  const sampler = rateSampler(parts.clock, parts.metrics);
  const slowestClients = () => [];
  const routes = adminRoutes({ version: "1.2.3", ...parts, sampler, snapshot, slowestClients });
  return { ...parts, sampler, routes };
}
