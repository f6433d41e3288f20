/** Types of plain values: strings, choices, booleans, integers, durations, sizes, and lists of another type. */

import type { JsonSchema } from "../api-docs/json-schema.js";
import { DAY_MS, formatDuration, formatSize, parseDuration, parseSize } from "../util/units.js";
import { showValue, tomlString } from "./show-value.js";
import { Invalid, type ValueType } from "./value-type.js";

/** A string that matches the pattern. */
export function textType(expected: string, pattern: RegExp): ValueType<string> {
  const invalid = new Invalid(expected);
  return {
    expected,
    word: "text",
    schema: patternSchema(pattern),
    read: (value) => (typeof value === "string" && pattern.test(value) ? value : invalid),
    print: tomlString,
  };
}

/**
 * Strings that match. Programs in Rust read the schema too: they know neither `\0` nor `\/`, nor half surrogate pairs, which TOML cannot
 * have either.
 */
const patternSchema = ({ source }: RegExp): JsonSchema => ({
  type: "string",
  pattern: source.replaceAll("\\0", "\\x00").replaceAll("\\/", "/").replaceAll("\\p{Cs}", ""),
});

const DURATION_SCHEMA: JsonSchema = { type: "string", pattern: "^(?:0|[0-9]+(?:ms|s|m|h|d))$" };

/** A string without control characters, or "" = none. */
export const plainTextType: ValueType<string> = textType('a string; "" = none', /^\P{Cc}{0,512}$/u);

/** One of a few words. */
export function choiceType<const T extends string>(...words: readonly T[]): ValueType<T> {
  const expected = `one of ${words.map(tomlString).join(", ")}`;
  const invalid = new Invalid(expected);
  return {
    expected,
    word: words.join("|"),
    schema: { type: "string", enum: words },
    read: (value) => words.find((word) => word === value) ?? invalid,
    print: tomlString,
  };
}

export const booleanType: ValueType<boolean> = {
  expected: "true or false",
  word: "true|false",
  schema: { type: "boolean" },
  read: (value) => (typeof value === "boolean" ? value : new Invalid(booleanType.expected)),
  fromText: (given) => (given === "true" ? true : given === "false" ? false : given),
  print: String,
};

/** A whole number from `min` to `max`; with `zero`, 0 has the meaning that it names, as in "no limit". */
export function integerType(min: number, max: number, zero?: string): ValueType<number> {
  const range = `${min} to ${max}${zero === undefined ? "" : `; 0 = ${zero}`}`;
  const expected = `a whole number from ${range}`;
  const invalid = new Invalid(expected);
  return {
    expected,
    range,
    word: "number",
    schema: { type: "integer", minimum: zero === undefined ? min : Math.min(min, 0), maximum: max },
    read: (value) => (isInteger(value) && value >= min && value <= max ? value : invalid),
    fromText: (given) => (/^-?[0-9]{1,15}$/.test(given) ? Number(given) : given),
    print: String,
  };
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** Milliseconds from `min` to `max` (default: one day). With `off`, "0" and 0 are valid too and turn the function off. */
export function durationType(options: { min: number; max?: number; off?: boolean }): ValueType<number> {
  const { min, max = DAY_MS, off = false } = options;
  const range = `${formatDuration(min)} to ${formatDuration(max)}${off ? "; 0 = off" : ""}`;
  const expected = `a duration such as "250ms", "5s", "2m" or "24h", from ${range}`;
  const invalid = new Invalid(expected);
  return {
    expected,
    range,
    word: "duration",
    schema: off ? { anyOf: [DURATION_SCHEMA, { const: 0 }] } : DURATION_SCHEMA,
    read(value) {
      const ms = off && value === 0 ? 0 : typeof value === "string" ? parseDuration(value) : undefined;
      if (ms === undefined) return invalid;
      return (off && ms === 0) || (ms >= min && ms <= max) ? ms : invalid;
    },
    print: (ms) => tomlString(formatDuration(ms)),
  };
}

/** Bytes, from `min` to `max`. */
export function sizeType(min: number, max: number): ValueType<number> {
  const range = `${formatSize(min)} to ${formatSize(max)}`;
  const expected = `a size such as "64kB", "256MB" or "1GiB" (B, kB, MB, GB, KiB, MiB, GiB), from ${range}`;
  const invalid = new Invalid(expected);
  return {
    expected,
    range,
    word: "size",
    schema: { type: "string", pattern: "^[0-9]+(?:GB|MB|kB|GiB|MiB|KiB|B)$" },
    read(value) {
      const bytes = typeof value === "string" ? parseSize(value) : undefined;
      return bytes !== undefined && bytes >= min && bytes <= max ? bytes : invalid;
    },
    print: (bytes) => tomlString(formatSize(bytes)),
  };
}

/** Any number of different values of one type. `plural` completes "a list of ...". */
export function listType<T>(of: ValueType<T>, plural: string): ValueType<readonly T[]> {
  const expected = `a list of ${plural}`;
  const invalid = new Invalid(expected);
  return {
    expected,
    word: undefined,
    schema: { type: "array", items: of.schema, uniqueItems: true },
    read(values) {
      if (!Array.isArray(values)) return invalid;
      const read: (T | Invalid)[] = values.map((value) => of.read(value));
      const isDuplicate = (value: T | Invalid, index: number) => read.indexOf(value) < index;
      const faults = read.flatMap((value, index) => {
        if (value instanceof Invalid) return `${showValue(values[index])} in entry ${index + 1}`;
        return isDuplicate(value, index) ? `a second ${showValue(values[index])} in entry ${index + 1}` : [];
      });
      if (faults.length === 0) return read as T[];
      return new Invalid(expected, faults.join("; "));
    },
    print: (values) => `[${values.map((value) => of.print(value)).join(", ")}]`,
  };
}
