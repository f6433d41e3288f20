/** Whether the daemon is ready. */

import { blocksReadiness } from "../../util/conditions.js";
import type { Snapshot } from "../metrics/snapshot.js";

/** Why the daemon is not ready, for /readyz and /status; empty = it is ready. */
export function notReadyReasons({ phase, servers, history, conditions }: Snapshot): string[] {
  const reasons: string[] = [];
  if (phase !== "running") reasons.push(`m2push is ${phase}`);
  if (!history) reasons.push("the history is not open yet");
  for (const { name, live } of servers) {
    if (!live) reasons.push(`server ${name}: Mongrel2 has not answered: no fence has passed on its link`);
  }
  for (const { code, subject, message, fix } of conditions) {
    if (blocksReadiness(code)) reasons.push(`${subject && `${subject}: `}${message}; fix: ${fix}`);
  }
  return reasons;
}
