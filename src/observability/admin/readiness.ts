/** Whether the daemon does its work, in words. */

import { blocksReadiness } from "../../util/conditions.js";
import type { Snapshot } from "../metrics/snapshot.js";

/** Why the daemon is not ready, one line a reason; empty = it is. */
export function readinessProblems({ phase, servers, history, conditions }: Snapshot): string[] {
  const found: string[] = [];
  if (phase !== "running") found.push(`m2push is ${phase}`);
  if (!history) found.push("the history is not open yet");
  for (const { name, live } of servers) {
    if (!live) found.push(`server ${name}: Mongrel2 has not answered: no fence has passed on its link`);
  }
  for (const { code, subject, message, fix } of conditions) {
    if (blocksReadiness(code)) found.push(`${subject && `${subject}: `}${message}; fix: ${fix}`);
  }
  return found;
}
