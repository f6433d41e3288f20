/** The limit for the patterns of all streams together ([stream] max_pattern_cost). */
import type { ServerDelivery } from "../delivery/server-delivery.js";
import { ProtocolError } from "../errors.js";
import type { Hub } from "../hub/hub.js";
import type { Interest } from "../matching/interest.js";
import type { HttpSettings } from "./settings.js";

/** Throws "unavailable" if the patterns of an interest would exceed the limit. */
export function checkPatternCost(hub: Hub, server: ServerDelivery, interest: Interest, settings: HttpSettings): void {
  const { maxPatternCost, retryMs } = settings;
  const added = maxPatternCost > 0 ? server.patternCostOf(interest) : 0;
  if (added === 0 || hub.patternCost + added <= maxPatternCost) return;
  const text = `the patterns of all streams are too expensive: a cost of ${added} more is above max_pattern_cost`;
  throw new ProtocolError("unavailable", `${text}; fix: try again later`, { retryAfterMs: retryMs });
}
