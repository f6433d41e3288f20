/** What a running daemon knows of connections that an earlier process left, and whether it can tell whose they are. */

import type { ServerConfig } from "../../config/schema.js";
import { ExclusivityCheck } from "../../mongrel2/exclusivity-check.js";
import type { Status } from "../../observability/admin/status.js";
import { type Finding, ok, warn } from "./finding.js";

const CODES: readonly string[] = ["adoption_undecided", "orphans_unknown"];

export async function checkOrphans(ours: ServerConfig, daemon: Status | undefined): Promise<Finding[]> {
  const undecided = (daemon?.conditions ?? []).filter(
    ({ code, subject }) => CODES.includes(code) && subject === ours.name,
  );
  return [...undecided.map(({ message, fix }) => warn(message, fix)), await checkExclusive(ours)];
}

async function checkExclusive(ours: ServerConfig): Promise<Finding> {
  const { isExclusive, reason: why } = await new ExclusivityCheck(ours).run();
  if (isExclusive) return ok(`what a killed daemon leaves is closed at once: ${why}`);
  const timeout = ours.orphan_timeout === 0 ? "never" : `after orphan_timeout (${ours.orphan_timeout / 1000} s)`;
  return ok(`what a killed daemon leaves is closed ${timeout}: ${why}`);
}
