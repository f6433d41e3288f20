import type { ServerConfig } from "../../config/schema.js";
import { type Mongrel2Database, setting } from "../../mongrel2/mongrel2-database.js";
import type { Finding } from "./finding.js";
import { limitFindings } from "./limit-findings.js";

/** Mongrel2's default (setting.c of 1.12.2). */
const DEFAULT_HANDLER_TARGET_COUNT = 128;

/** Compares max_targets with limits.handler_targets: Mongrel2 drops a message with more targets as a whole. */
export function checkTargets({ max_targets: ours }: ServerConfig, database: Mongrel2Database): Finding {
  const theirs = setting(database, "limits.handler_targets", DEFAULT_HANDLER_TARGET_COUNT);
  return theirs >= ours ? limitFindings.targetsGood(theirs, ours) : limitFindings.targetsTooHigh(theirs, ours);
}
