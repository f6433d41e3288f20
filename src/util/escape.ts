/**
 * Escapes untrusted text for a log or a terminal. JSON.stringify() does not escape DEL and C1, which control terminals (U+009B begins a
 * control sequence), U+2028 and U+2029, which readers treat as line ends, and format characters: bidi controls, which reverse the display
 * of a line, and invisible ones.
 */

/** Category Cc except LF, which JSON escapes; Cf; the separators Zl and Zp. */
const UNPRINTABLE = /[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\p{Cf}]/u;
const DELETE = "\x7f";
const EVERY_UNPRINTABLE = new RegExp(UNPRINTABLE, "gu");

/**
 * Replaces every such character by \uXXXX for each UTF-16 unit, which keeps the meaning of JSON. LF stays, so that a text of several
 * lines can be escaped.
 */
export function escapeUnprintable(text: string): string {
  return UNPRINTABLE.test(text) ? text.replace(EVERY_UNPRINTABLE, escaped) : text;
}

/**
 * The same for the output of JSON.stringify(), which escapes the rest of Cc. ASCII text skips the pattern, which took 0.2 us a line of the
 * 1.6 us that a log line costs under load.
 */
export function escapeJson(json: string): string {
  return Buffer.byteLength(json) === json.length && !json.includes(DELETE) ? json : escapeUnprintable(json);
}

/** Escapes a text as one line of a terminal: line ends become spaces. */
export function printableLine(text: string): string {
  return escapeUnprintable(text.trim().replace(/\s*[\n\r]\s*/g, " "));
}

/** Encodes a text as a JSON string. */
export function quote(text: string): string {
  return escapeUnprintable(JSON.stringify(text));
}

/** Escapes every text in a JSON value, on one line: for output that prints decoded JSON. */
export function escapeAll(value: unknown): unknown {
  if (typeof value === "string") return escapeUnprintable(value).replaceAll("\n", "\\n");
  if (Array.isArray(value)) return value.map(escapeAll);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, it]) => [escapeUnprintable(name), escapeAll(it)]));
}

function escaped(character: string): string {
  let text = "";
  for (let at = 0; at < character.length; at++) text += `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`;
  return text;
}
