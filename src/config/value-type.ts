/**
 * The type of a key's value: how the loader reads it from TOML, what it reports for anything else, how it is printed. Types of plain
 * data are in basic-types.ts; of addresses in endpoint-types.ts and network-types.ts; of files in path-types.ts; of secrets in
 * secret-types.ts.
 */

import type { JsonSchema } from "../api-docs/json-schema.js";

/** What `ValueType.read` returns for a value that is not of the type. */
export class Invalid {
  /** Completes "expected ...". */
  readonly expected: string;
  /** Completes "got ...", where that is not the value itself. */
  readonly got: string | undefined;

  constructor(expected: string, got?: string) {
    this.expected = expected;
    this.got = got;
  }
}

export interface ValueType<T> {
  /** Completes "expected ...": the form with an example, the unit and the range. */
  readonly expected: string;
  /** The range and the special values in short, for --help: "1ms to 1d; 0 = off". Undefined where `word` says everything. */
  readonly range?: string;
  /** The placeholder of the value in `--flag <word>`; undefined for a list, which only the file can set. */
  readonly word: string | undefined;
  /** What it accepts in the file, as JSON Schema. Where that cannot be said exactly, more than it accepts. */
  readonly schema: JsonSchema;
  /** Values are never shown, neither in errors nor in a printed configuration. */
  readonly secret?: boolean;
  /** The value as the program uses it, or Invalid. Accepts any value and never throws. */
  read(value: unknown): T | Invalid;
  /** Converts the text of a flag or variable to the TOML value; left out where that is the text itself. */
  fromText?(text: string): unknown;
  /** Makes a relative path absolute; `base` is the folder it is relative to. */
  resolve?(value: T, base: string): T | Invalid;
  /** The value as TOML. `read` accepts it, unless the type is secret. */
  print(value: T): string;
}
