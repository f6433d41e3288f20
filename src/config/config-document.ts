/** Reads the configuration file: its text, its TOML, and the line of each key. read-tables.ts checks the keys. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse, TomlError } from "smol-toml";
import { faultTexts } from "./fault-texts.js";
import { tomlPositions } from "./toml-positions.js";

/** The content of a configuration file, before any key is checked. */
export interface ConfigDocument {
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

/** Reads a file, relative to `cwd`; without one, returns an empty document. Never throws: see `faults`. */
export function readConfigDocument(file: string | undefined, cwd: string): ConfigDocument {
  if (file === undefined) return emptyDocument(file, cwd);
  const path = resolve(cwd, file);
  try {
    return parseConfigDocument(readFileSync(path, "utf8"), file, dirname(path));
  } catch (error) {
    const [reason = ""] = (error as Error).message.split(",");
    return emptyDocument(file, dirname(path), `${file}: ${faultTexts.unreadableFile(reason)}`);
  }
}

/** Parses a document; `file` is its name in errors, `base` the folder that its relative paths are relative to. */
export function parseConfigDocument(text: string, file: string, base: string): ConfigDocument {
  try {
    const source = text.replace(/^\ufeff/, "");
    return { file, base, table: parse(source), lines: tomlPositions(source), faults: [] };
  } catch (error) {
    if (error instanceof TomlError) return emptyDocument(file, base, syntaxFault(error, file));
    throw error;
  }
}

function emptyDocument(file: string | undefined, base: string, ...faults: string[]): ConfigDocument {
  return { file, base, table: {}, lines: new Map(), faults };
}

/** Only the first line of the parser's message: the others show the line. */
function syntaxFault({ line, column, message }: TomlError, file: string): string {
  const [reason = ""] = message.replace(/^Invalid TOML document: /, "").split("\n");
  return `${file}:${line}: ${faultTexts.syntaxError(column, reason)}`;
}
