/** Walks the tables of a configuration file: known keys are offered to the settings, everything else is a fault. */

import type { Document } from "./document.js";
import { type Keys, namedKeys, SERVER_KEYS, sections, serverKeys } from "./schema.js";
import { type Settings, type Source, sourceText } from "./settings.js";
import { suggest } from "./suggest.js";
import { keyText, lineOf } from "./toml-positions.js";
import { show } from "./value-type.js";

const SERVERS = "mongrel2";

/** Every path that a file can set, for "the nearest is". */
const allPaths: readonly [string, ...string[]] = [
  `${SERVERS}.name`,
  ...Object.keys(SERVER_KEYS)
    .slice(1)
    .map((name) => `${SERVERS}.${name}`),
  ...namedKeys.map(({ path }) => path),
];

/** The [[mongrel2]] tables, whatever they hold; one empty table when there is none, for the default server. */
export function serverTables(document: Document): readonly unknown[] {
  const tables = ownValue(document.table, SERVERS);
  return Array.isArray(tables) && tables.length > 0 ? tables : [{}];
}

/** Where a fault of a key that the file leaves out points: its table's header, or the file. */
export function positionOf(document: Document, path: string): string {
  return document.file === undefined ? "default" : sourceText(sourceOf(document, path));
}

/** Offers every key of the document to the settings, in the document's order. */
export function readTables(settings: Settings, document: Document): void {
  const walk = new Walk(settings, document);
  for (const [name, value] of Object.entries(document.table)) walk.section(name, value);
}

class Walk {
  readonly #settings: Settings;
  readonly #document: Document;

  constructor(settings: Settings, document: Document) {
    this.#settings = settings;
    this.#document = document;
  }

  section(name: string, value: unknown): void {
    const keys = Object.hasOwn(sections, name) ? sections[name] : undefined;
    if (name === SERVERS) this.#servers(value);
    else if (keys !== undefined) this.#table(name, keys, value, `a table [${name}]`);
    else this.#unknown(keyText(name), hasTables(value) ? nearestSection(name) : nearestPath("", name));
  }

  #servers(value: unknown): void {
    if (Array.isArray(value) && value.length > 0) {
      value.forEach((table, index) => {
        this.#table(`${SERVERS}[${index}]`, serverKeys, table, "a table");
      });
      return;
    }
    this.#fault(SERVERS, `expected one table [[${SERVERS}]] or more, got ${show(value)}`);
  }

  #table(path: string, keys: Keys, value: unknown, expected: string): void {
    if (!isTable(value)) {
      this.#fault(path, `expected ${expected}, got ${show(value)}`);
      return;
    }
    for (const [name, given] of Object.entries(value)) {
      const key = Object.hasOwn(keys, name) ? keys[name] : undefined;
      const full = `${path}.${keyText(name)}`;
      if (key === undefined) this.#unknown(full, nearestPath(path.replace(/\[.*/, ""), name));
      else this.#settings.offer(full, key, given, sourceOf(this.#document, full), this.#document.base);
    }
  }

  #unknown(path: string, near: string): void {
    this.#fault(path, `expected a known key, got an unknown one; the nearest is ${near}`);
  }

  #fault(path: string, reason: string): void {
    this.#settings.fault(positionOf(this.#document, path), path, reason);
  }
}

function sourceOf({ file = "file", lines }: Document, path: string): Source {
  return { from: "file", file, line: lineOf(lines, path) };
}

function nearestSection(name: string): string {
  const near = suggest(name, [SERVERS, ...Object.keys(sections)]);
  return near === SERVERS ? `[[${SERVERS}]]` : `[${near}]`;
}

/** The nearest key: of two that are as near, the one in the same table. */
function nearestPath(section: string, name: string): string {
  const sorted = [...allPaths].sort((a, b) => Number(inSection(b, section)) - Number(inSection(a, section)));
  const names = sorted.map((path) => path.slice(path.indexOf(".") + 1));
  const [first = "", ...rest] = names;
  return sorted[names.indexOf(suggest(name, [first, ...rest]))] ?? allPaths[0];
}

const inSection = (path: string, section: string): boolean => path.startsWith(`${section}.`);

const ownValue = (table: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(table, name) ? table[name] : undefined;

const hasTables = (value: unknown): boolean => isTable(value) || (Array.isArray(value) && isTable(value[0]));

/** smol-toml gives tables as plain objects, dates as Date. */
function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
