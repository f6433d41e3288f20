/** How much of each limit is used, for metrics and status. */
import { MAX_WINDOW_COUNT } from "../delivery/windows.js";
import { MAX_REVOCATION_COUNT } from "../hub/revocations.js";
import type { LimitUse } from "../observability/metrics/snapshot.js";
import { descriptorLimit, openDescriptors } from "../util/descriptors.js";
import type { DaemonContext } from "./daemon-context.js";

/** 0 in the configuration is no limit. */
const orNone = (max: number): number | undefined => (max === 0 ? undefined : max);

/** Limits of parts that have not started are left out. */
export function limitUses({ config, initial, eventLog, hub, revocations, compression }: DaemonContext): LimitUse[] {
  const uses: LimitUse[] = [{ limit: "descriptors", used: openDescriptors(), max: descriptorLimit() }];
  if (hub) {
    uses.push({ limit: "clients", used: hub.clients, max: orNone(config.stream.max_clients) });
    uses.push({ limit: "pattern_cost", used: hub.patternCost, max: orNone(config.stream.max_pattern_cost) });
  }
  if (compression && initial.stream.compression !== "off")
    uses.push({ limit: "compression_windows", used: compression.windows, max: MAX_WINDOW_COUNT });
  if (revocations) uses.push({ limit: "revoked_tokens", used: revocations.count, max: MAX_REVOCATION_COUNT });
  if (eventLog) {
    const { history } = eventLog;
    uses.push({ limit: "history_events", used: history.count, max: initial.history.max_events });
    uses.push({ limit: "history_bytes", used: history.bytes, max: initial.history.max_bytes });
    uses.push({ limit: "publish_keys", used: history.keyCount, max: initial.publish.max_keys });
  }
  return uses.filter(({ used }) => used !== undefined);
}
