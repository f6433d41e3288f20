/** What one check found: one line, with what to do about it. */

export interface Finding {
  readonly level: "ok" | "warn" | "FAIL";
  readonly what: string;
  /** What to do; absent where there is nothing to do. */
  readonly fix?: string;
}

export const ok = (what: string): Finding => ({ level: "ok", what });
export const warn = (what: string, fix: string): Finding => ({ level: "warn", what, fix });
export const fail = (what: string, fix: string): Finding => ({ level: "FAIL", what, fix });

/** "FAIL  main: what; fix: what to do". Values of a database stand in it: nothing may break the line. */
export function lineOf(subject: string, { level, what, fix }: Finding): string {
  const text = fix === undefined ? what : `${what}; fix: ${fix}`;
  return `${level.padEnd(4)}  ${subject}: ${text}`.replace(/[\u0000-\u001f\u007f]+/g, " ");
}

/** A value as it stands in a configuration, blanks visible. */
export const quoted = (value: string): string => JSON.stringify(value);
