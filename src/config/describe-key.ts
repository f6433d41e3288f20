import type { ConfigKey } from "./schema.js";

/** The documentation of a key with its default and range, on one line, for --help and the manual page. */
export function describeKey({ doc, type, default: value }: ConfigKey<unknown>): string {
  const facts = [...(type.range === undefined ? [] : [type.range]), `default ${defaultText(type.print, value)}`];
  return `${doc} (${facts.join("; ")})`;
}

/** A default as TOML; "none" where a key has no value. */
export function defaultText(print: (value: never) => string, value: unknown): string {
  return value === undefined || value === null ? "none" : print(value as never);
}

/** The text with its first letter as a capital: the beginning of a sentence. */
export const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
