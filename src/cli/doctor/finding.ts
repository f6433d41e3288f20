/** What one check found: one line, with what to do about it. */

import { printableLine, quote } from "../../util/escape.js";

export interface Finding {
  readonly level: "ok" | "warn" | "FAIL";
  readonly what: string;
  /** What to do; absent where there is nothing to do. */
  readonly mend?: string;
}

export const ok = (what: string): Finding => ({ level: "ok", what });
export const warn = (what: string, mend: string): Finding => ({ level: "warn", what, mend });
export const fail = (what: string, mend: string): Finding => ({ level: "FAIL", what, mend });

/** "FAIL  main: what; mend: what to do". Values of a database and texts of a daemon stand in it. */
export function lineOf(subject: string, { level, what, mend }: Finding): string {
  const text = mend === undefined ? what : `${what}; mend: ${mend}`;
  return `${level.padEnd(4)}  ${printableLine(`${subject}: ${text}`)}`;
}

/** A value as it stands in a configuration, blanks visible. */
export const quoted = (value: string): string => quote(value);
