const MS_PER_SECOND = 1000;

/**
 * The delay that a Retry-After header of a response asks for, milliseconds: seconds, or a date (RFC 9110 section 10.2.3); 0 = none, or one
 * that is not understood. `now`: milliseconds since 1970.
 */
export function retryDelayMs(retryAfter: string | undefined, now: number): number {
  if (retryAfter === undefined) return 0;
  if (/^\s*\d{1,9}\s*$/.test(retryAfter)) return Number(retryAfter) * MS_PER_SECOND;
  const time = Date.parse(retryAfter);
  return Number.isNaN(time) ? 0 : Math.max(0, time - now);
}
