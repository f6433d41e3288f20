/** Reads the configuration file: text, TOML, and the line of each key. What the keys mean is checked in server-tables.ts. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse, TomlError } from "smol-toml";
import { tomlPositions } from "./toml-positions.js";

/** What a file says, before anything is checked. */
export interface Document {
  /** The file's name as the user gave it; undefined: there is no file. */
  readonly file: string | undefined;
  /** The folder that relative paths are relative to. */
  readonly base: string;
  readonly table: Readonly<Record<string, unknown>>;
  /** The line of each key; see toml-positions.ts. */
  readonly lines: ReadonlyMap<string, number>;
  /** Why the file could not be read; the table is empty then. */
  readonly faults: readonly string[];
}

/** Reads a file, relative to `cwd`; without one, an empty document. Never throws: see `faults`. */
export function readDocument(file: string | undefined, cwd: string): Document {
  if (file === undefined) return emptyDocument(file, cwd);
  const path = resolve(cwd, file);
  try {
    return parseDocument(readFileSync(path, "utf8"), file, dirname(path));
  } catch (error) {
    const [reason] = (error as Error).message.split(",");
    return emptyDocument(file, dirname(path), `${file}: expected a readable file, got ${reason}`);
  }
}

/** The document in a text; `file` is the name for faults, `base` the folder that its relative paths are relative to. */
export function parseDocument(text: string, file: string, base: string): Document {
  try {
    const source = text.replace(/^\ufeff/, "");
    return { file, base, table: parse(source), lines: tomlPositions(source), faults: [] };
  } catch (error) {
    if (error instanceof TomlError) return emptyDocument(file, base, syntaxFault(error, file));
    throw error;
  }
}

function emptyDocument(file: string | undefined, base: string, ...faults: string[]): Document {
  return { file, base, table: {}, lines: new Map(), faults };
}

/** The parser's message goes on with a drawing of the line; its first line is enough. */
function syntaxFault({ line, column, message }: TomlError, file: string): string {
  const [reason] = message.replace(/^Invalid TOML document: /, "").split("\n");
  return `${file}:${line}: expected TOML, got a syntax error in column ${column}: ${reason}`;
}
