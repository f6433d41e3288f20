/** The figures, for whoever reaches the admin address: nothing here names a client or changes anything. */
import type { Exposition } from "../metrics/exposition.js";
import { type AdminResponse, type AdminRoute, json, text } from "./admin-response.js";
import { readinessProblems } from "./readiness.js";
import { type StatusParts, statusOf } from "./status.js";

export interface RouteParts extends StatusParts {
  readonly exposition: Exposition;
}

export function adminRoutes(parts: RouteParts): Map<string, AdminRoute> {
  const { exposition, snapshot } = parts;
  return new Map<string, AdminRoute>([
    // Prometheus.
    ["/metrics", { GET: async () => ({ status: 200, type: exposition.contentType, body: await exposition.text() }) }],
    // The process runs, and its event loop turns: whoever watches it need not start it again.
    ["/healthz", { GET: () => text(200, "ok") }],
    // It does its work: whoever sends it clients or publications may do so. 503 says why not, one line a reason.
    ["/readyz", { GET: () => readiness(readinessProblems(snapshot())) }],
    ["/status", { GET: () => json(statusOf(parts)) }],
  ]);
}

const readiness = (why: readonly string[]): AdminResponse =>
  why.length === 0 ? text(200, "ready") : text(503, why.join("\n"));
