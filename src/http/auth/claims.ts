/** What both kinds of token have in common: a JSON object of claims, and the times that bound it (RFC 7519 section 4.1). */
import { displayValue, tokenError } from "./refusal.js";

/** A JSON object from a token: nothing is known of its members. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** What a token lets its holder have shown of itself (Mercure, "Active Subscriptions"); any value that JSON can write. */
export type JsonPayload =
  | null
  | boolean
  | number
  | string
  | readonly JsonPayload[]
  | { readonly [name: string]: JsonPayload };

/** The last moment that a Date can say, milliseconds since 1970. */
const MAX_TIME = 8_640_000_000_000_000;
/** How deep a payload may be nested. Whoever writes it as JSON goes down one call for each level. */
const MAX_DEPTH = 32;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export interface TimeRules {
  /** Whether a token must have an `exp`. */
  readonly needed: boolean;
  /** How far its issuer's clock may be from ours, milliseconds. */
  readonly leeway: number;
}

/**
 * Checks `exp`, `nbf` and `iat` against `now` and returns when the token ends, both in milliseconds since 1970; undefined when it
 * has no `exp`. What was opened with it ends at its `exp` by our clock; only what is opened within the leeway after that lasts
 * until the leeway is over, or it would end at once.
 */
export function checkTimes(claims: JsonObject, now: number, { needed, leeway }: TimeRules): number | undefined {
  for (const name of ["nbf", "iat"] as const) {
    if ((readTime(claims, name) ?? now) > now + leeway) throw tokenError(`it is not valid yet (${name})`);
  }
  const end = readTime(claims, "exp");
  if (end === undefined && needed) throw tokenError("it has no exp");
  if (end !== undefined && end + leeway <= now) throw tokenError("it has expired (exp)");
  return end === undefined || end > now ? end : end + leeway;
}

/** A NumericDate: seconds since 1970, fractions allowed; null is what some libraries write for none. */
function readTime(claims: JsonObject, name: "exp" | "nbf" | "iat"): number | undefined {
  const value = claims[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value)) throw tokenError(`its ${name} is no number of seconds`);
  return Math.min(value * 1000, MAX_TIME);
}

/** A payload came from JSON and can go back to it; only how deep it is must be looked at. */
export function readPayload(value: unknown): JsonPayload {
  if (isDeeper(value, MAX_DEPTH)) throw tokenError(`its payload is nested deeper than ${MAX_DEPTH} levels`);
  return value as JsonPayload;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}

/** The members of a list of strings. `where` names it for the log. */
export function readStrings(value: unknown, where: string): readonly string[] {
  if (!Array.isArray(value)) throw tokenError(`${where} is ${displayValue(value)}, not a list of strings`);
  const wrong = value.findIndex((member) => typeof member !== "string");
  if (wrong >= 0) throw tokenError(`${where}[${wrong}] is ${displayValue(value[wrong])}, not a string`);
  return value;
}
