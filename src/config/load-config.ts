/**
 * Loads the configuration. Flags override variables, variables override the file, the file overrides the defaults. Every value of
 * every source is checked, also one that a stronger source overrides, and all faults are reported together, each as
 * `file:line: section.key: expected ..., got ...`; for a variable or a flag its name stands in place of file:line.
 */

import { type ConfigDocument, readConfigDocument } from "./config-document.js";
import { crossChecks, type Tables } from "./cross-checks.js";
import { faultTexts } from "./fault-texts.js";
import { locationOf, readTables, tablePaths } from "./read-tables.js";
import {
  type Config,
  type ConfigKeys,
  type NamedKey,
  namedKeys,
  scalarKeys,
  sections,
  type TableArray,
  tableArrays,
} from "./schema.js";
import { Settings } from "./settings.js";
import { suggest } from "./suggest.js";
import type { ValueSource } from "./value-source.js";

export interface LoadOptions {
  /** The TOML file. Left out: none is read, and every value is the default unless a variable or a flag sets it. */
  readonly file?: string | undefined;
  /** The environment; only variables that begin with M2PUSH_ are read. Left out: empty. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** The values of flags by the path of their key, as in { "stream.max_clients": "5" }. Left out: empty. */
  readonly flags?: Readonly<Record<string, string | undefined>> | undefined;
  /** The folder that the file, and relative paths in variables and flags, are relative to. Left out: the working folder. */
  readonly cwd?: string | undefined;
}

export interface LoadedConfig {
  readonly config: Config;
  /** The source of every value, by path: "stream.retry", "mongrel2[0].name", "topic[0].rate". */
  readonly sources: ReadonlyMap<string, ValueSource>;
}

/**
 * Variables that begin with M2PUSH_ and set no key. M2PUSH_DEBUG: the command line prints errors with their stacks. The others are those of
 * `m2push subscribe`: its token, and what a command of --exec gets, which may be another m2push.
 */
const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  ...["M2PUSH_DEBUG", "M2PUSH_TOKEN", "M2PUSH_ID", "M2PUSH_TYPE", "M2PUSH_TOPIC"],
]);

/** Reads and checks all sources. Throws ConfigError ("config_invalid") with all faults. */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  return buildConfig(readConfigDocument(options.file, options.cwd ?? process.cwd()), options);
}

/** The same for a document in memory. */
export function buildConfig(document: ConfigDocument, options: LoadOptions = {}): LoadedConfig {
  const cwd = options.cwd ?? process.cwd();
  const settings = new Settings(document.faults);
  const tables = eachArray((array) => tablePaths(document, array));
  recordDefaults(settings, document, tables);
  readTables(settings, document);
  readEnvironment(settings, options.env ?? {}, cwd);
  readFlags(settings, options.flags ?? {}, cwd);
  if (document.faults.length === 0) crossChecks(settings, tables);
  const sources = settings.finish();
  return { config: assemble(settings, tables), sources };
}

/** The relative path of a default is relative to the folder of the file, as if the file contained it. */
function recordDefaults(settings: Settings, document: ConfigDocument, tables: Tables): void {
  const setDefaults = (section: string, keys: ConfigKeys): void => {
    for (const [name, key] of Object.entries(keys)) {
      settings.setDefault(`${section}.${name}`, key, locationOf(document, section), document.base);
    }
  };
  eachArray((array, keys) => {
    for (const table of tables[array]) setDefaults(table, keys);
  });
  for (const [section, keys] of Object.entries(sections)) setDefaults(section, keys);
}

function readEnvironment(settings: Settings, env: NonNullable<LoadOptions["env"]>, cwd: string): void {
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith("M2PUSH_") || OTHER_VARIABLES.has(variable) || text === undefined) continue;
    const named = scalarKeys.find((key) => key.variable === variable);
    if (named === undefined) settings.faults.push(`${variable}: ${unknownVariable(variable)}`);
    else offerText(settings, named, text, { from: "environment", variable }, cwd);
  }
}

function unknownVariable(variable: string): string {
  const listKey = namedKeys.find((key) => key.variable === variable)?.path;
  if (listKey !== undefined) return faultTexts.listVariable(listKey);
  if (variable.startsWith("M2PUSH_MONGREL2_")) return faultTexts.serverVariable;
  return faultTexts.unknownVariable(nearestKeyName((key) => key.variable, variable));
}

function readFlags(settings: Settings, flags: NonNullable<LoadOptions["flags"]>, cwd: string): void {
  for (const [path, text] of Object.entries(flags)) {
    if (text === undefined) continue;
    const named = scalarKeys.find((key) => key.path === path);
    if (named !== undefined) offerText(settings, named, text, { from: "flag", flag: named.flag }, cwd);
    else settings.faults.push(`flag ${path}: ${faultTexts.unknownKey(nearestKeyName((key) => key.path, path))}`);
  }
}

function offerText(settings: Settings, { path, key }: NamedKey, text: string, source: ValueSource, cwd: string): void {
  settings.offer(path, key, key.type.fromText === undefined ? text : key.type.fromText(text), source, cwd);
}

function nearestKeyName(nameOf: (key: NamedKey) => string, name: string): string {
  const [first = "", ...rest] = scalarKeys.map(nameOf);
  return suggest(name, [first, ...rest]);
}

/** The cast is safe: every value has the type of its key in the schema, and the type Config is derived from the same tables. */
function assemble(settings: Settings, tables: Tables): Config {
  const values = (section: string, keys: ConfigKeys): object =>
    Object.fromEntries(Object.keys(keys).map((name) => [name, settings.get(`${section}.${name}`)?.value]));
  const arrays = eachArray((array, keys) => tables[array].map((table) => values(table, keys)));
  const others = Object.entries(sections).map(([section, keys]) => [section, values(section, keys)]);
  return { ...arrays, ...Object.fromEntries(others) } as Config;
}

/** The result for each array of tables. */
function eachArray<T>(run: (array: TableArray, keys: ConfigKeys) => T): Record<TableArray, T> {
  const arrays = Object.entries(tableArrays) as [TableArray, ConfigKeys][];
  return Object.fromEntries(arrays.map(([array, keys]) => [array, run(array, keys)])) as Record<TableArray, T>;
}
