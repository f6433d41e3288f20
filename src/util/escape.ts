/**
 * The one escaping of text of strangers for a log or a terminal. JSON.stringify() leaves DEL and C1, which terminals obey (U+009B begins
 * a control sequence), U+2028 and U+2029, which readers take for line ends, and format characters: bidi controls, which turn a line
 * around, and what nobody sees.
 */

/** Cc but LF, which ends a line and which JSON escapes; Cf; the separators Zl and Zp. */
const UNPRINTABLE = /[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\p{Cf}]/u;
const DELETE = "\x7f";
const EVERY_UNPRINTABLE = new RegExp(UNPRINTABLE, "gu");

/**
 * The text with every such character as \uXXXX, each UTF-16 unit apart: so JSON stays the same JSON. LF stays: texts of
 * several lines are escaped as well.
 */
export function escapeUnprintable(text: string): string {
  return UNPRINTABLE.test(text) ? text.replace(EVERY_UNPRINTABLE, escaped) : text;
}

/**
 * The same for lines of JSON.stringify(), which escapes the rest of Cc itself. What is ASCII needs no look at each character: the
 * pattern took 0.2 us a line, of 1.6 that a line of a storm costs.
 */
export function escapeJson(json: string): string {
  return Buffer.byteLength(json) === json.length && !json.includes(DELETE) ? json : escapeUnprintable(json);
}

/** A text as one line of a terminal: line ends become blanks. */
export function printableLine(text: string): string {
  return escapeUnprintable(text.trim().replace(/\s*[\n\r]\s*/g, " "));
}

/** A text between quotes, as JSON has it. */
export function quote(text: string): string {
  return escapeUnprintable(JSON.stringify(text));
}

/** A value of JSON with every text in it on one line and escaped: for whoever decodes JSON and prints what it holds. */
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
