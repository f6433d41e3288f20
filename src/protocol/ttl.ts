/** The `ttl` of an event as publishers write it: how long it may be delivered. */
import { parseDuration, SECOND_MS } from "../util/units.js";
import { invalid } from "./event-fault.js";

const EXPECTED = 'ttl must be a whole number of seconds, or a duration such as "90s", "10m" or "24h"';

/** Milliseconds of a number of seconds, of its digits, or of a duration. Throws "invalid"; limits: see checkDraft(). */
export function readTtl(ttl: unknown): number {
  if (typeof ttl === "number" && Number.isSafeInteger(ttl * SECOND_MS) && Number.isInteger(ttl)) return ttl * SECOND_MS;
  if (typeof ttl !== "string") throw invalid(EXPECTED);
  const milliseconds = /^[0-9]{1,12}$/.test(ttl) ? Number(ttl) * SECOND_MS : parseDuration(ttl);
  if (milliseconds === undefined) throw invalid(EXPECTED);
  return milliseconds;
}
