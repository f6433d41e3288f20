/** The result of one check: one line, with what to do about it. */

import { printableLine, quote } from "../../util/escape.js";

export interface Finding {
  readonly level: "ok" | "warn" | "FAIL";
  readonly what: string;
  /** What to do; absent where nothing needs to be done. */
  readonly fix?: string;
}

export const ok = (what: string): Finding => ({ level: "ok", what });
export const warn = (what: string, fix: string): Finding => ({ level: "warn", what, fix });
export const fail = (what: string, fix: string): Finding => ({ level: "FAIL", what, fix });

/** "FAIL  main: problem; fix: what to do". Characters that a terminal would interpret are escaped: databases and daemons supply texts. */
export function findingLine(subject: string, { level, what, fix }: Finding): string {
  const text = fix === undefined ? what : `${what}; fix: ${fix}`;
  return `${level.padEnd(4)}  ${printableLine(`${subject}: ${text}`)}`;
}

/** A value in quotation marks, so that spaces at its ends are visible. */
export const quoted = (value: string): string => quote(value);
