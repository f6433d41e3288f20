/** The standing problems of one Mongrel2 and its link, in words: see util/conditions.ts. */
import type { Condition } from "../util/conditions.js";

const CONTROL_KEY = 'control = "ipc://run/control" (Mongrel2\'s control_port) in [[mongrel2]]';

/** `live`: it has answered before. */
export function silentCondition(subject: string, milliseconds: number, live: boolean): Condition {
  const details = { milliseconds: Math.round(milliseconds) };
  const about = { code: "mongrel2_silent", subject, details } as const;
  if (live) {
    const message = "Mongrel2 takes messages but does not answer";
    return {
      ...about,
      message,
      fix: "see whether it is stopped or busy, and whether another handler uses the send_spec",
    };
  }
  const fix =
    "see whether it runs, whether send_spec and recv_spec are the right way round, and whether recv_ident fits";
  return { ...about, message: "no answer from Mongrel2", fix };
}

export function controlCondition(subject: string, error: unknown): Condition {
  return {
    code: "control_unreachable",
    subject,
    message: "the control port of Mongrel2 does not answer: no stream would survive a restart of m2push now",
    fix: "make control the control_port of Mongrel2, which must run and let this user connect (m2push doctor)",
    details: { why: error instanceof Error ? error.message : String(error) },
  };
}

/** Behind a ZeroMQ proxy. `control`: the control port is configured. */
export function privateCondition(subject: string, control: boolean): Condition {
  return {
    code: "private_refused",
    subject,
    message: "private events are not served: behind a proxy (bind) nothing tells that Mongrel2 has restarted",
    fix: control ? "see why the control port does not answer (m2push doctor)" : `set ${CONTROL_KEY}`,
  };
}

export function secondDaemonCondition(subject: string, leaves: boolean): Condition {
  const told = "another daemon reads requests from the same send_spec";
  return {
    code: "second_daemon",
    subject,
    message: leaves ? `${told}, and was there first: this one stops serving` : `${told}: each gets half of them`,
    fix: leaves
      ? "stop this daemon; or stop the other one, then restart this one; --shared serves beside it on purpose"
      : "stop one of the two; --shared (both) if it is meant",
  };
}
