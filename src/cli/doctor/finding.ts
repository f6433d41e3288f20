/** What one check found: one line, with what to do about it. */

export interface Finding {
  readonly level: "ok" | "warn" | "FAIL";
  readonly what: string;
  /** What to do; absent where there is nothing to do. */
  readonly mend?: string;
}

export const ok = (what: string): Finding => ({ level: "ok", what });
export const warn = (what: string, mend: string): Finding => ({ level: "warn", what, mend });
export const fail = (what: string, mend: string): Finding => ({ level: "FAIL", what, mend });

/** "FAIL  main: what; mend: what to do". Values of a database stand in it: nothing may break the line. */
export function lineOf(subject: string, { level, what, mend }: Finding): string {
  const text = mend === undefined ? what : `${what}; mend: ${mend}`;
  return `${level.padEnd(4)}  ${subject}: ${text}`.replace(/[\u0000-\u001f\u007f]+/g, " ");
}

/** A value as it stands in a configuration, blanks visible. */
export const quoted = (value: string): string => JSON.stringify(value);
