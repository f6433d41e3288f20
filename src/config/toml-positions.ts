/**
 * The line of each key in a TOML document, which the parser does not report. This is a scan of the source text, not a second parser:
 * it recognizes strings, comments, brackets and table headers, and ignores values. Keys of an inline table have the line of the key
 * that contains the table.
 *
 * Paths are written as in errors: `stream.retry`, `mongrel2[0].name` (tables of an array count from 0).
 */

/** The line (from 1) of every key and table of a document; the last one of a table that occurs twice. Never throws. */
export function tomlPositions(text: string): ReadonlyMap<string, number> {
  const scan = new TomlScanner(text);
  while (scan.nextStatement()) scan.statement();
  return scan.lines;
}

/** The line of the key, or of the nearest table that contains it; undefined when the document has none of them. */
export function lineOf(lines: ReadonlyMap<string, number>, path: string): number | undefined {
  for (let rest = path; rest !== ""; rest = parent(rest)) {
    const line = lines.get(rest);
    if (line !== undefined) return line;
  }
  return undefined;
}

/** One key of a path as errors show it: bare where TOML allows it, else quoted and cut to 80 characters. */
export function keyText(key: string): string {
  return /^[A-Za-z0-9_-]{1,80}$/.test(key) ? key : JSON.stringify(key.slice(0, 80));
}

const parent = (path: string): string => path.slice(0, Math.max(path.lastIndexOf("."), path.lastIndexOf("["), 0));

class TomlScanner {
  readonly lines = new Map<string, number>();
  readonly #text: string;
  #at = 0;
  #line = 1;
  /** The path of the table whose keys are being read; "" is the root. */
  #table = "";
  /** The index of the last table of each array. */
  readonly #last = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
  }

  /** Skips white space and comments; false at the end of the text. */
  nextStatement(): boolean {
    this.#skip(/\s*(?:#[^\n]*\s*)*/y);
    return this.#at < this.#text.length;
  }

  /** Reads one table header, or one key with its value. */
  statement(): void {
    if (this.#skip(/\[\[/y)) this.#arrayHeader();
    else if (this.#skip(/\[/y)) this.#header();
    else this.#key();
    this.#restOfValue();
  }

  #header(): void {
    this.#table = this.#join("", this.#keys());
    this.lines.set(this.#table, this.#line);
    this.#skip(/[\t ]*\]/y);
  }

  #arrayHeader(): void {
    const keys = this.#keys();
    const array = [this.#join("", keys.slice(0, -1)), keyText(keys.at(-1) ?? "")]
      .filter((part) => part !== "")
      .join(".");
    const index = (this.#last.get(array) ?? -1) + 1;
    this.#last.set(array, index);
    this.#table = `${array}[${index}]`;
    this.lines.set(this.#table, this.#line);
    if (index === 0) this.lines.set(array, this.#line);
    this.#skip(/[\t ]*\]\]/y);
  }

  #key(): void {
    const path = this.#join(this.#table, this.#keys());
    if (!this.lines.has(path)) this.lines.set(path, this.#line);
  }

  /** The parts of a dotted key; empty where there is no key. */
  #keys(): string[] {
    const keys: string[] = [];
    do {
      const key = this.#skip(/[\t ]*(?:"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)[\t ]*/y);
      if (key !== "") keys.push(unquote(key.trim()));
    } while (this.#skip(/\./y));
    return keys;
  }

  /** Skips to the end of the line on which the value ends: strings and brackets may span lines. */
  #restOfValue(): void {
    let depth = 0;
    while (this.#at < this.#text.length) {
      const token = this.#skip(TOKEN);
      if (token === "\n" && depth <= 0) return;
      if (token === "[" || token === "{") depth++;
      if (token === "]" || token === "}") depth--;
    }
  }

  #join(table: string, keys: readonly string[]): string {
    let path = table;
    for (const key of keys) {
      path = path === "" ? keyText(key) : `${path}.${keyText(key)}`;
      const index = this.#last.get(path);
      if (index !== undefined) path = `${path}[${index}]`;
    }
    return path;
  }

  /** Consumes and returns what the pattern matches at this position, and counts its lines; "" when it does not match. */
  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const taken = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += taken.length;
    for (let from = taken.indexOf("\n"); from >= 0; from = taken.indexOf("\n", from + 1)) this.#line++;
    return taken;
  }
}

/** Inside a value: one of the four kinds of string, a comment, a run of other characters, or any one character. */
const TOKEN =
  /"""(?:\\.|[^\\])*?"""(?:""?(?!"))?|'''.*?'''(?:''?(?!'))?|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*|[^"'#[\]{}\n]+|./sy;

function unquote(key: string): string {
  if (key.startsWith("'")) return key.slice(1, -1);
  if (!key.startsWith('"')) return key;
  try {
    return String(JSON.parse(key));
  } catch {
    return key.slice(1, -1);
  }
}
