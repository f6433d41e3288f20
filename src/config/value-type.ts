/**
 * The kinds of values that keys have. A kind is everything the loader must know about a value: how to read it from TOML,
 * what to say when it is something else, how to print it back. The kinds of plain data are here, those of addresses,
 * files and keys in text-types.ts.
 */
import { DAY, formatDuration, formatSize, parseDuration, parseSize } from "./units.js";

/** What `Kind.read` returns for a value that will not do. */
export class Invalid {
  /** Completes "expected ...". */
  readonly expected: string;
  /** Completes "got ...", where that is not simply the value. */
  readonly got: string | undefined;

  constructor(expected: string, got?: string) {
    this.expected = expected;
    this.got = got;
  }
}

export interface ValueType<T> {
  /** Completes "expected ...": the form, an example, the unit and the range. */
  readonly expected: string;
  /** A word for `--flag <word>`; undefined for a list, which only the file can give. */
  readonly word: string | undefined;
  /** Values are never shown, neither in faults nor in print. */
  readonly secret?: boolean;
  /** The value as the program uses it; Wrong when it is not of this kind. Takes anything, throws nothing. */
  read(value: unknown): T | Invalid;
  /** Turns the text of a flag or variable into what TOML would have given; left out where that is the text itself. */
  fromText?(text: string): unknown;
  /** Makes relative paths absolute; `base` is the folder that they are relative to. */
  resolve?(value: T, base: string): T | Invalid;
  /** The value as TOML. What `read` takes back, except where it is secret. */
  print(value: T): string;
}

/** A string that matches the pattern. */
export function text(expected: string, pattern: RegExp): ValueType<string> {
  const wrong = new Invalid(expected);
  return {
    expected,
    word: "text",
    read: (value) => (typeof value === "string" && pattern.test(value) ? value : wrong),
    print: quote,
  };
}

/** One of a few words. */
export function choice<const T extends string>(...words: readonly T[]): ValueType<T> {
  const expected = `one of ${words.map(quote).join(", ")}`;
  const wrong = new Invalid(expected);
  return {
    expected,
    word: words.join("|"),
    read: (value) => words.find((word) => word === value) ?? wrong,
    print: quote,
  };
}

export const booleanType: ValueType<boolean> = {
  expected: "true or false",
  word: "true|false",
  read: (value) => (typeof value === "boolean" ? value : new Invalid(booleanType.expected)),
  fromText: (given) => (given === "true" ? true : given === "false" ? false : given),
  print: String,
};

/** A whole number from `min` to `max`; `note` says what a special value means. */
export function integer(min: number, max: number, note = ""): ValueType<number> {
  const expected = `a whole number from ${min} to ${max}${note}`;
  const wrong = new Invalid(expected);
  return {
    expected,
    word: "number",
    read: (value) => (isInteger(value) && value >= min && value <= max ? value : wrong),
    fromText: (given) => (/^-?[0-9]{1,15}$/.test(given) ? Number(given) : given),
    print: String,
  };
}

/** Milliseconds, from `min` to `max` (a day unless told); with `off`, "0" and 0 are taken too and mean off. */
export function duration(options: { min: number; max?: number; off?: boolean }): ValueType<number> {
  const { min, max = DAY, off = false } = options;
  const range = `from ${formatDuration(min)} to ${formatDuration(max)}${off ? "; 0 = off" : ""}`;
  const expected = `a duration such as "250ms", "5s", "2m" or "24h", ${range}`;
  const wrong = new Invalid(expected);
  return {
    expected,
    word: "duration",
    read(value) {
      const ms = off && value === 0 ? 0 : typeof value === "string" ? parseDuration(value) : undefined;
      if (ms === undefined) return wrong;
      return (off && ms === 0) || (ms >= min && ms <= max) ? ms : wrong;
    },
    print: (ms) => quote(formatDuration(ms)),
  };
}

/** Bytes, from `min` to `max`. */
export function size(min: number, max: number): ValueType<number> {
  const range = `from ${formatSize(min)} to ${formatSize(max)}`;
  const expected = `a size such as "64kB", "256MB" or "1GiB" (B, kB, MB, GB, KiB, MiB, GiB), ${range}`;
  const wrong = new Invalid(expected);
  return {
    expected,
    word: "size",
    read(value) {
      const bytes = typeof value === "string" ? parseSize(value) : undefined;
      return bytes !== undefined && bytes >= min && bytes <= max ? bytes : wrong;
    },
    print: (bytes) => quote(formatSize(bytes)),
  };
}

/** Any number of values of another kind, none of them twice. */
export function list<T>(of: ValueType<T>, plural: string): ValueType<readonly T[]> {
  const expected = `a list of ${plural}`;
  const wrong = new Invalid(expected);
  return {
    expected,
    word: undefined,
    read(values) {
      if (!Array.isArray(values)) return wrong;
      const read: (T | Invalid)[] = values.map((value) => of.read(value));
      const isAgain = (value: T | Invalid, index: number) => read.indexOf(value) < index;
      const faults = read.flatMap((value, index) => {
        if (value instanceof Invalid) return `${show(values[index])} in entry ${index + 1}`;
        return isAgain(value, index) ? `${show(values[index])} in entry ${index + 1}, again` : [];
      });
      if (faults.length === 0) return read as T[];
      return new Invalid(expected, faults.join("; "));
    },
    print: (values) => `[${values.map((value) => of.print(value)).join(", ")}]`,
  };
}

/** A value as faults show it: on one line, not long, without passwords in addresses, whatever it is. */
export function show(value: unknown): string {
  if (typeof value === "string") return quote(withoutPassword(value.length > 80 ? `${value.slice(0, 80)}...` : value));
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (value instanceof Date) return "a date";
  if (typeof value === "object" && value !== null) return "a table";
  return String(value);
}

/** Replaces the user and password of an address, as in nats://user:password@host, by stars. */
export function withoutPassword(address: string): string {
  return address.replace(/\/\/[^/@]*@/g, "//***@");
}

/** The text as a TOML basic string; JSON's escapes are among TOML's, which wants DEL escaped too. */
export function quote(value: string): string {
  return JSON.stringify(value).replaceAll("\u007f", "\\u007f");
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
