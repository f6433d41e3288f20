/**
 * Durations and sizes as people write them: a whole number followed by a unit. A duration becomes milliseconds, a size becomes bytes.
 * Fractions and sums ("1.5h", "1m30s") are not valid: the next smaller unit expresses the same ("90m", "90s").
 */

/** Milliseconds of each unit, the largest first: formatting uses the first one that divides. */
const DURATION_UNITS_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/** Bytes of each unit. The decimal ones are first: "256MB" is easier to read than a multiple of KiB. */
const SIZE_UNITS_BYTES = {
  GB: 1_000_000_000,
  MB: 1_000_000,
  kB: 1_000,
  GiB: 1_073_741_824,
  MiB: 1_048_576,
  KiB: 1_024,
  B: 1,
} as const;

export const SECOND_MS: number = DURATION_UNITS_MS.s;
export const DAY_MS: number = DURATION_UNITS_MS.d;

/** Milliseconds of "250ms", "5s", "2m", "24h" or "7d"; "0" is 0. Undefined for anything else, and beyond 2^53. */
export function parseDuration(text: string): number | undefined {
  return text === "0" ? 0 : parseUnits(text, DURATION_UNITS_MS);
}

/** The shortest exact form: 5000 -> "5s", 0 -> "0". `ms` is a whole number from 0 to 2^53 - 1. */
export function formatDuration(ms: number): string {
  return ms === 0 ? "0" : formatUnits(ms, DURATION_UNITS_MS);
}

/** Bytes of "100B", "64kB", "256MB", "1GB" (powers of 1000) or "64KiB", "256MiB", "1GiB" (powers of 1024). */
export function parseSize(text: string): number | undefined {
  return parseUnits(text, SIZE_UNITS_BYTES);
}

/** The largest unit that divides: 256000000 -> "256MB", 1024 -> "1KiB". `bytes` is a whole number from 0 to 2^53 - 1. */
export function formatSize(bytes: number): string {
  return bytes === 0 ? "0B" : formatUnits(bytes, SIZE_UNITS_BYTES);
}

type Units = Readonly<Record<string, number>>;

function parseUnits(text: string, units: Units): number | undefined {
  const [, digits, unit] = /^([0-9]{1,16})([A-Za-z]{1,3})$/.exec(text) ?? [];
  if (digits === undefined || unit === undefined || !Object.hasOwn(units, unit)) return undefined;
  const value = Number(digits) * (units[unit] ?? Number.NaN);
  return Number.isSafeInteger(value) ? value : undefined;
}

function formatUnits(value: number, units: Units): string {
  for (const [unit, factor] of Object.entries(units)) {
    if (value % factor === 0) return `${value / factor}${unit}`;
  }
  throw new TypeError(`not a whole number of units: ${value}`);
}
