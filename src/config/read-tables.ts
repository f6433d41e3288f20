/** Reads the tables of a configuration file: records the values of known keys, and a fault for everything else. */

import type { ConfigDocument } from "./config-document.js";
import { faultTexts } from "./fault-texts.js";
import { type ConfigKeys, namedKeys, sections, type TableArray, tableArrays } from "./schema.js";
import type { Settings } from "./settings.js";
import { showValue } from "./show-value.js";
import { suggest } from "./suggest.js";
import { keyText, lineOf } from "./toml-positions.js";
import { sourceText, type ValueSource } from "./value-source.js";

const pathsOf = (array: TableArray): string[] => Object.keys(tableArrays[array]).map((name) => `${array}.${name}`);

/** Every path that a file can set, to suggest from; of equal ones the first. */
const allPaths: readonly string[] = [
  ...pathsOf("mongrel2"),
  ...namedKeys.map(({ path }) => path),
  ...pathsOf("topic"),
  ...pathsOf("issuer"),
  ...pathsOf("webhook"),
];

/** The paths of the tables of an array: "topic[0]". Without any [[mongrel2]] there is one, for the default server. */
export function tablePaths(document: ConfigDocument, array: TableArray): readonly string[] {
  const tables = ownValue(document.table, array);
  const count = Array.isArray(tables) ? tables.length : 0;
  return Array.from({ length: array === "mongrel2" ? Math.max(1, count) : count }, (_, index) => `${array}[${index}]`);
}

/** Where a fault of a key that the file leaves out points: the header of its table, or the file. */
export function locationOf(document: ConfigDocument, path: string): string {
  return document.file === undefined ? "default" : sourceText(fileSource(document, path));
}

/** Reads every key of the document into the settings, in the order of the document. */
export function readTables(settings: Settings, document: ConfigDocument): void {
  const reader = new TableReader(settings, document);
  for (const [name, value] of Object.entries(document.table)) reader.section(name, value);
}

class TableReader {
  readonly #settings: Settings;
  readonly #document: ConfigDocument;

  constructor(settings: Settings, document: ConfigDocument) {
    this.#settings = settings;
    this.#document = document;
  }

  section(name: string, value: unknown): void {
    const keys = Object.hasOwn(sections, name) ? sections[name] : undefined;
    if (isTableArray(name)) this.#tables(name, value);
    else if (keys !== undefined) this.#table(name, keys, value, `a table [${name}]`);
    else this.#unknown(keyText(name), hasTables(value) ? nearestSection(name) : nearestPath("", name));
  }

  #tables(array: TableArray, value: unknown): void {
    if (Array.isArray(value) && value.length > 0) {
      value.forEach((table, index) => {
        this.#table(`${array}[${index}]`, tableArrays[array], table, "a table");
      });
      return;
    }
    this.#fault(array, faultTexts.expected(`one or more tables [[${array}]]`, showValue(value)));
  }

  #table(path: string, keys: ConfigKeys, value: unknown, expected: string): void {
    if (!isTable(value)) {
      this.#fault(path, faultTexts.expected(expected, showValue(value)));
      return;
    }
    for (const [name, given] of Object.entries(value)) {
      const key = Object.hasOwn(keys, name) ? keys[name] : undefined;
      const full = `${path}.${keyText(name)}`;
      if (key === undefined) this.#unknown(full, nearestPath(path.replace(/\[.*/, ""), name));
      else this.#settings.offer(full, key, given, fileSource(this.#document, full), this.#document.base);
    }
  }

  #unknown(path: string, nearest: string): void {
    this.#fault(path, faultTexts.unknownKey(nearest));
  }

  #fault(path: string, reason: string): void {
    this.#settings.fault(locationOf(this.#document, path), path, reason);
  }
}

function fileSource({ file = "file", lines }: ConfigDocument, path: string): ValueSource {
  return { from: "file", file, line: lineOf(lines, path) };
}

function nearestSection(name: string): string {
  const near = suggest(name, ["mongrel2", ...Object.keys(tableArrays), ...Object.keys(sections)]);
  return isTableArray(near) ? `[[${near}]]` : `[${near}]`;
}

/** The nearest key; of two with the same distance, the one in the same table. */
function nearestPath(section: string, name: string): string {
  const sorted = [...allPaths].sort((a, b) => Number(inSection(b, section)) - Number(inSection(a, section)));
  const names = sorted.map((path) => path.slice(path.indexOf(".") + 1));
  const [first = "", ...rest] = names;
  return sorted[names.indexOf(suggest(name, [first, ...rest]))] ?? "";
}

const isTableArray = (name: string): name is TableArray => Object.hasOwn(tableArrays, name);

const inSection = (path: string, section: string): boolean => path.startsWith(`${section}.`);

const ownValue = (table: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(table, name) ? table[name] : undefined;

const hasTables = (value: unknown): boolean => isTable(value) || (Array.isArray(value) && isTable(value[0]));

/** smol-toml returns tables as plain objects, dates as Date. */
function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
