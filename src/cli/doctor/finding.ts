/** What one check found: one line, with what to do about it. */

import { printableLine, quote } from "../../util/escape.js";

export interface Finding {
  readonly level: "ok" | "warn" | "FAIL";
  readonly what: string;
  /** What to do; absent where there is nothing to do. */
  readonly fix?: string;
}

export const ok = (what: string): Finding => ({ level: "ok", what });
export const warn = (what: string, fix: string): Finding => ({ level: "warn", what, fix });
export const fail = (what: string, fix: string): Finding => ({ level: "FAIL", what, fix });

/** "FAIL  main: what; fix: what to do". Values of a database and texts of a daemon stand in it. */
export function lineOf(subject: string, { level, what, fix }: Finding): string {
  const text = fix === undefined ? what : `${what}; fix: ${fix}`;
  return `${level.padEnd(4)}  ${printableLine(`${subject}: ${text}`)}`;
}

/** A value as it stands in a configuration, blanks visible. */
export const quoted = (value: string): string => quote(value);
