/** Standing problems in the log: one line when each begins, with its fix, and one when it ends. */
import { type ActiveCondition, blocksReadiness, type ConditionObserver } from "../../util/conditions.js";
import type { Logger } from "./logger.js";

export function logConditions(log: Logger): ConditionObserver {
  return {
    conditionBegan({ code, subject, message, fix, level, details }: ActiveCondition) {
      const fields = { event: "condition", code, ...(subject && { subject }), ...details, fix };
      log[level ?? (blocksReadiness(code) ? "error" : "warn")](fields, message);
    },
    conditionEnded({ code, subject, message }: ActiveCondition, milliseconds: number) {
      const seconds = Math.round(milliseconds) / 1000;
      log.info({ event: "condition ended", code, ...(subject && { subject }), seconds }, `no longer: ${message}`);
    },
  };
}
