/** Starts the observers that every daemon has, in their order: log, metrics, the dashboard's list of connections, listeners. */
import { combineObservers } from "../hub/observers.js";
import { DaemonState } from "../observability/admin/daemon-state.js";
import { RecentConnections } from "../observability/admin/recent-connections.js";
import { LogObserver } from "../observability/log/log-observer.js";
import { MetricsObserver } from "../observability/metrics/metrics-observer.js";
import { Conditions } from "../util/conditions.js";
import type { DaemonContext } from "./daemon-context.js";
import { EventListeners } from "./event-listeners.js";
import { observerFailed } from "./internal-errors.js";
import { limitUses } from "./limit-uses.js";

export function startObservers(context: DaemonContext): void {
  const { clock, log } = context.options;
  const failed = observerFailed(log, clock);
  context.metrics = new MetricsObserver(clock);
  context.recent = new RecentConnections(clock);
  const listeners = new EventListeners(failed);
  context.listeners = listeners;
  context.live = new Promise((resolve) => {
    const remove = listeners.on("linkLive", () => {
      remove();
      resolve();
    });
  });
  const observers = [new LogObserver(log, clock), context.metrics, context.recent, listeners];
  context.observers.push(...observers.map(({ observe }) => observe));
  context.observe = combineObservers(context.observers, failed);
  context.conditions = new Conditions(clock, context.observe);
  context.state = new DaemonState(clock);
  context.state.conditions = context.conditions;
  context.state.limits = () => limitUses(context);
}
