/** Conditions of one Mongrel2 and its link (util/conditions.ts). */
import { messageOf } from "../errors.js";
import { conditionTexts } from "../util/condition-texts.js";
import type { Condition } from "../util/conditions.js";

/** `hasAnswered`: Mongrel2 has answered before in this generation. */
export function silentCondition(subject: string, milliseconds: number, hasAnswered: boolean): Condition {
  const text = hasAnswered ? conditionTexts.silent() : conditionTexts.neverAnswered();
  return { code: "mongrel2_silent", subject, ...text, details: { milliseconds: Math.round(milliseconds) } };
}

export function controlCondition(subject: string, error: unknown): Condition {
  const details = { reason: messageOf(error) };
  return { code: "control_unreachable", subject, ...conditionTexts.controlUnreachable(), details };
}

/** Behind a ZeroMQ proxy. `control`: the control port is configured. */
export function privateCondition(subject: string, control: boolean): Condition {
  return { code: "private_refused", subject, ...conditionTexts.privateRefused(control) };
}

export function secondDaemonCondition(subject: string, leaves: boolean): Condition {
  const text = leaves ? conditionTexts.secondDaemonLeaves() : conditionTexts.secondDaemonStays();
  return { code: "second_daemon", subject, ...text };
}
