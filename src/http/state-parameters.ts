/**
 * The parameters that ask for state at once, the same on the plain address and, as an extension, in both dialects of Mercure: `latest=1`,
 * `last=N`, `since=DURATION or time`. At most one of them, once.
 */

import type { SelectionRequest } from "../delivery/selection.js";
import { ProtocolError } from "../errors.js";
import { parseDuration } from "../util/units.js";
import type { Form } from "./form.js";

export type StateRequest =
  | SelectionRequest
  /** Events since this long ago, milliseconds. */
  | { readonly kind: "since"; readonly agoMs: number }
  /** Events since this time, milliseconds since 1970. */
  | { readonly kind: "since"; readonly time: number };

export type SinceRequest = Extract<StateRequest, { kind: "since" }>;

/** Times that a duration states are rounded down to this: streams that open together ask for the same events. */
const SINCE_STEP_MS = 1_000;

/** The time from which events are asked for, milliseconds since 1970, as `now`. */
export function timeOf(since: SinceRequest, now: number): number {
  return "time" in since ? since.time : Math.floor((now - since.agoMs) / SINCE_STEP_MS) * SINCE_STEP_MS;
}

type Parameter = (value: string) => StateRequest;

const PARAMETERS: Readonly<Record<string, Parameter>> = { latest: readLatest, last: readLast, since: readSince };

/** Undefined: none of them is there. Throws "invalid" for a bad value and for several of them. */
export function stateRequestIn(form: Form): StateRequest | undefined {
  const asked = form.filter(([name]) => Object.hasOwn(PARAMETERS, name));
  const [first] = asked;
  if (!first) return undefined;
  if (asked.length > 1) {
    const names = asked.map(([name]) => name).join(", ");
    throw new ProtocolError(
      "invalid",
      `${names} contradict each other; fix: one of latest=1, last=N, since=TIME, once`,
    );
  }
  const [name, value] = first;
  return PARAMETERS[name]?.(value);
}

function readLatest(value: string): StateRequest {
  if (value === "1") return { kind: "latest" };
  throw new ProtocolError("invalid", "latest has a bad value; fix: latest=1");
}

function readLast(value: string): StateRequest {
  const count = /^[0-9]{1,9}$/.test(value) ? Number(value) : 0;
  if (count > 0) return { kind: "last", count };
  throw new ProtocolError(
    "invalid",
    "last has a bad value; fix: a number of events from 1 to 999999999, as in last=20",
  );
}

/** RFC 3339. A plus sign that was not encoded has become a space. */
const TIME = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+ -]\d\d:\d\d)$/;

function readSince(value: string): StateRequest {
  const agoMs = parseDuration(value);
  if (agoMs !== undefined) return { kind: "since", agoMs };
  const [, day, clock, fraction = "", zone = ""] = TIME.exec(value) ?? [];
  const time = Date.parse(`${day}T${clock}${fraction}${zone.replace(" ", "+").toUpperCase()}`);
  if (!Number.isNaN(time)) return { kind: "since", time };
  const valid = "a duration (ms, s, m, h, d) as in since=10m, or a time (RFC 3339) as in since=2026-12-01T08:30:00Z";
  throw new ProtocolError("invalid", `since has a bad value; fix: ${valid}`);
}
