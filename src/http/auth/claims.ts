/** What both kinds of token have in common: a JSON object of claims, and the times that limit it (RFC 7519 section 4.1). */
import type { JsonValue } from "../../delivery/subscriber.js";
import { displayValue, tokenError } from "./token-refusal.js";

/** A JSON object whose members are unchecked. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The latest time that a Date can hold, milliseconds since 1970. */
const MAX_TIME_MS = 8_640_000_000_000_000;
/** Levels of nesting in a payload: JSON.stringify() needs one call for each level. */
const MAX_PAYLOAD_DEPTH = 32;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export interface TimeRules {
  /** Whether a token must have an `exp`. */
  readonly requiresExp: boolean;
  /** How far the issuer's clock may differ from the daemon's, milliseconds. */
  readonly leewayMs: number;
}

/**
 * Checks `exp`, `nbf` and `iat` against `now` and returns when the token ends, both in milliseconds since 1970; undefined if it has no
 * `exp`. A stream ends at the `exp` of its token by the daemon's clock; one that is opened within the leeway after `exp` lasts until
 * the leeway is over, since it would otherwise end at once.
 */
export function checkTimes(claims: JsonObject, now: number, { requiresExp, leewayMs }: TimeRules): number | undefined {
  for (const name of ["nbf", "iat"] as const) {
    if ((readTime(claims, name) ?? now) > now + leewayMs) throw tokenError(`the token is not valid yet (${name})`);
  }
  const end = readTime(claims, "exp");
  if (end === undefined && requiresExp) throw tokenError("the token has no exp");
  if (end !== undefined && end + leewayMs <= now) throw tokenError("the token has expired (exp)");
  return end !== undefined && end <= now ? end + leewayMs : end;
}

/** A NumericDate: seconds since 1970, fractions allowed. Some libraries write null for an absent one. */
function readTime(claims: JsonObject, name: "exp" | "nbf" | "iat"): number | undefined {
  const value = claims[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw tokenError(`the claim ${name} is not a number of seconds`);
  }
  return Math.min(value * 1000, MAX_TIME_MS);
}

/** The payload that other clients may see of a subscriber. Its value came from JSON, so that only its depth is checked. */
export function readPayload(value: unknown): JsonValue {
  if (isDeeper(value, MAX_PAYLOAD_DEPTH)) {
    throw tokenError(`the payload is nested deeper than ${MAX_PAYLOAD_DEPTH} levels`);
  }
  return value as JsonValue;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}

/** The members of a list of strings. `where` names the list in the reason. */
export function readStrings(value: unknown, where: string): readonly string[] {
  if (!Array.isArray(value)) throw tokenError(`${where} is ${displayValue(value)}, not a list of strings`);
  const wrong = value.findIndex((member) => typeof member !== "string");
  if (wrong >= 0) throw tokenError(`${where}[${wrong}] is ${displayValue(value[wrong])}, not a string`);
  return value;
}
