/**
 * Finds the source text of values in JSON, so that a value can be passed on as its sender wrote it: numbers keep their digits, and objects
 * the order of their members. (JSON.parse() gives the source to a reviver only from Node 21 on.) The caller has parsed the text: here it
 * is valid JSON, and a position is never checked again. Each function takes time linear in the length of the text.
 */

const QUOTE_BYTE = 0x22;
const OPEN_BRACKET_BYTE = 0x5b;
const CLOSE_BRACKET_BYTE = 0x5d;
const OPEN_BRACE_BYTE = 0x7b;
const CLOSE_BRACE_BYTE = 0x7d;
const SPACE = /[ \t\n\r]*/y;
/** A number, true, false or null. */
const WORD = /[^,\]} \t\n\r]+/y;

/** The source of each element of an array, without the white space around it. */
export function elementSources(json: string): string[] {
  const sources: string[] = [];
  let at = afterSpace(json, afterSpace(json, 0) + 1);
  while (json[at] !== "]") {
    const end = endOfValue(json, at);
    sources.push(json.slice(at, end));
    at = nextItem(json, end);
  }
  return sources;
}

/** The source of a member's value; of equal names the last counts, as in JSON.parse(). Undefined = the object has no such member. */
export function memberSource(json: string, name: string): string | undefined {
  let source: string | undefined;
  let at = afterSpace(json, afterSpace(json, 0) + 1);
  while (json[at] !== "}") {
    const endOfName = endOfString(json, at);
    const start = afterSpace(json, afterSpace(json, endOfName) + 1);
    const end = endOfValue(json, start);
    if (isName(json.slice(at, endOfName), name)) source = json.slice(start, end);
    at = nextItem(json, end);
  }
  return source;
}

/** A name may be written with escapes. */
function isName(source: string, name: string): boolean {
  return source.includes("\\") ? JSON.parse(source) === name : source.slice(1, -1) === name;
}

/** The start of the next element or member, or the closing bracket. */
function nextItem(json: string, end: number): number {
  const at = afterSpace(json, end);
  return json[at] === "," ? afterSpace(json, at + 1) : at;
}

function endOfValue(json: string, start: number): number {
  const first = json[start];
  if (first === '"') return endOfString(json, start);
  if (first !== "{" && first !== "[") return endOf(WORD, json, start);
  let depth = 0;
  // A loop over the characters: a search for brackets by a pattern took 30 times as long in deep values.
  for (let at = start; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE_BYTE) at = endOfString(json, at) - 1;
    else if (code === OPEN_BRACE_BYTE || code === OPEN_BRACKET_BYTE) depth++;
    else if ((code === CLOSE_BRACE_BYTE || code === CLOSE_BRACKET_BYTE) && --depth === 0) return at + 1;
  }
  throw new TypeError("not valid JSON: a bracket is not closed");
}

/** A quote ends the string unless the number of backslashes before it is odd. */
function endOfString(json: string, start: number): number {
  for (let quote = json.indexOf('"', start + 1); quote > 0; quote = json.indexOf('"', quote + 1)) {
    let first = quote;
    while (json[first - 1] === "\\") first--;
    if ((quote - first) % 2 === 0) return quote + 1;
  }
  throw new TypeError("not valid JSON: a string is not closed");
}

const afterSpace = (json: string, at: number): number => endOf(SPACE, json, at);

function endOf(pattern: RegExp, json: string, at: number): number {
  pattern.lastIndex = at;
  return at + (pattern.exec(json)?.[0].length ?? 0);
}
