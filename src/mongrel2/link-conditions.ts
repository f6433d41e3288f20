/** Texts of the conditions of one Mongrel2 and its link (util/conditions.ts). */
import { messageOf } from "../errors.js";
import type { Condition } from "../util/conditions.js";

const CONTROL_KEY = 'control = "ipc://run/control" (Mongrel2\'s control_port) in [[mongrel2]]';

/** `hasAnswered`: Mongrel2 has answered before in this generation. */
export function silentCondition(subject: string, milliseconds: number, hasAnswered: boolean): Condition {
  const details = { milliseconds: Math.round(milliseconds) };
  const about = { code: "mongrel2_silent", subject, details } as const;
  if (hasAnswered) {
    const message = "Mongrel2 takes messages but does not answer";
    return {
      ...about,
      message,
      fix: "check whether Mongrel2 is stopped or busy, and whether another handler uses the send_spec",
    };
  }
  const fix =
    "check that Mongrel2 runs, that send_spec and recv_spec are not swapped, and that recv_ident matches send_ident";
  return { ...about, message: "no answer from Mongrel2", fix };
}

export function controlCondition(subject: string, error: unknown): Condition {
  return {
    code: "control_unreachable",
    subject,
    message: "the control port of Mongrel2 does not answer: a restart of m2push would close all streams",
    fix: "set control to the control_port of Mongrel2, start Mongrel2, and let this user connect (m2push doctor)",
    details: { reason: messageOf(error) },
  };
}

/** Behind a ZeroMQ proxy. `control`: the control port is configured. */
export function privateCondition(subject: string, control: boolean): Condition {
  return {
    code: "private_refused",
    subject,
    message: "private events are not served: behind a proxy (bind) a restart of Mongrel2 cannot be detected",
    fix: control ? "check why the control port does not answer (m2push doctor)" : `set ${CONTROL_KEY}`,
  };
}

export function secondDaemonCondition(subject: string, leaves: boolean): Condition {
  const what = "another daemon reads requests from the same send_spec";
  return {
    code: "second_daemon",
    subject,
    message: leaves ? `${what}, and started first: this one stops serving` : `${what}: each gets half of them`,
    fix: leaves
      ? "stop this daemon; or stop the other one, then restart this one; use --shared to run both on purpose"
      : "stop one of the two; or use --shared for both to run them on purpose",
  };
}
