/** Values as errors and printed configurations show them: on one line, bounded in length, without credentials. */

/** Longer strings are cut in errors. */
const MAX_SHOWN_CHARS = 80;

/** Any TOML value, for the "got ..." of an error. */
export function showValue(value: unknown): string {
  if (typeof value === "string") return tomlString(maskCredentials(shortened(value)));
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (value instanceof Date) return "a date";
  if (typeof value === "object" && value !== null) return "a table";
  return String(value);
}

const shortened = (text: string): string =>
  text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}...` : text;

/** Replaces the user and password of an address, as in nats://user:password@host, by stars. */
export function maskCredentials(address: string): string {
  return address.replace(/\/\/[^/@]*@/g, "//***@");
}

/** The text as a TOML basic string. JSON's escapes are valid TOML, which requires DEL to be escaped too. */
export function tomlString(value: string): string {
  return JSON.stringify(value).replaceAll("\u007f", "\\u007f");
}
