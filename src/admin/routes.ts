/** What an operator can ask for. Everything is for reading; nothing here changes anything. */
import type { Exposition } from "../metrics/exposition.js";
import { problems } from "./ready.js";
import type { AdminAnswer, AdminRoute } from "./server.js";
import { type StatusParts, statusOf } from "./status.js";

export interface RouteParts extends StatusParts {
  readonly exposition: Exposition;
}

export function adminRoutes(parts: RouteParts): Map<string, AdminRoute> {
  const { exposition, snapshot, journal } = parts;
  return new Map<string, AdminRoute>([
    // Prometheus.
    ["/metrics", { GET: async () => ({ status: 200, type: exposition.contentType, body: await exposition.text() }) }],
    // The process runs, and its event loop turns: whoever watches it need not start it again.
    ["/healthz", { GET: () => text(200, "ok") }],
    // It does its work: whoever sends it clients or publications may do so. 503 says why not, one line a reason.
    ["/readyz", { GET: () => readiness(problems(snapshot(), journal.tally)) }],
    [
      "/status",
      { GET: () => ({ status: 200, type: "application/json", body: `${JSON.stringify(statusOf(parts))}\n` }) },
    ],
  ]);
}

const readiness = (why: readonly string[]): AdminAnswer =>
  why.length === 0 ? text(200, "ready") : text(503, why.join("\n"));

const text = (status: number, body: string): AdminAnswer => ({
  status,
  type: "text/plain; charset=utf-8",
  body: `${body}\n`,
});
