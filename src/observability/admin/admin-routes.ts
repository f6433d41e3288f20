/** Routes that need no token: none of them names a client or changes anything. */
import { documented } from "../../api-docs/operation.js";
import type { Exposition } from "../metrics/exposition.js";
import { type AdminResponse, type DocumentedAdminRoute, json, textResponse } from "./admin-response.js";
import { HEALTH_DOCS, METRICS_DOCS, READINESS_DOCS, STATUS_DOCS } from "./operation-docs.js";
import { notReadyReasons } from "./readiness.js";
import { type StatusParts, statusOf } from "./status.js";

export interface RouteParts extends StatusParts {
  readonly exposition: Exposition;
}

export function adminRoutes(parts: RouteParts): Map<string, DocumentedAdminRoute> {
  const { exposition, snapshot } = parts;
  return new Map<string, DocumentedAdminRoute>([
    // Prometheus.
    [
      "/metrics",
      {
        GET: documented(METRICS_DOCS, async () => ({
          status: 200,
          type: exposition.contentType,
          body: await exposition.text(),
        })),
      },
    ],
    // Liveness probe: the process runs, and its event loop turns.
    ["/healthz", { GET: documented(HEALTH_DOCS, () => textResponse(200, "ok")) }],
    // Readiness probe: clients and publications are served. 503 has the reasons, one a line.
    ["/readyz", { GET: documented(READINESS_DOCS, () => readiness(notReadyReasons(snapshot()))) }],
    ["/status", { GET: documented(STATUS_DOCS, ({ isOperator }) => json(statusOf(parts, isOperator))) }],
  ]);
}

const readiness = (reasons: readonly string[]): AdminResponse =>
  reasons.length === 0 ? textResponse(200, "ready") : textResponse(503, reasons.join("\n"));
