/** Whether connections that an earlier process left are recognized and closed. */
import type { ServerConfig } from "../../config/schema.js";
import { ExclusivityCheck } from "../../mongrel2/exclusivity-check.js";
import type { Status } from "../../observability/admin/status.js";
import { type Finding, warn } from "./finding.js";
import { liveFindings } from "./live-findings.js";

const CONDITION_CODES: readonly string[] = ["adoption_undecided", "orphans_unknown"];

export async function checkOrphans(ours: ServerConfig, daemon: Status | undefined): Promise<Finding[]> {
  const undecided = (daemon?.conditions ?? []).filter(
    ({ code, subject }) => CONDITION_CODES.includes(code) && subject === ours.name,
  );
  const { isExclusive, reason } = await new ExclusivityCheck(ours).run();
  const timeoutSeconds = ours.orphan_timeout / 1000;
  return [
    ...undecided.map(({ message, fix }) => warn(message, fix)),
    liveFindings.orphans(isExclusive, timeoutSeconds, reason),
  ];
}
