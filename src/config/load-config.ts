/**
 * Loads the configuration: flags over environment over file over defaults. Everything is checked in every source, also
 * where a stronger one overrides it, and all faults are reported together. Each reads `file:line: section.key: expected
 * ..., got ...`, with the variable or the flag in the place of the file where that is where the value came from.
 */

import { crossChecks } from "./cross-checks.js";
import { type Document, readDocument } from "./document.js";
import { type Config, type Keys, type NamedKey, namedKeys, scalarKeys, sections, serverKeys } from "./schema.js";
import { positionOf, readTables, serverTables } from "./server-tables.js";
import { Settings, type Source } from "./settings.js";
import { suggest } from "./suggest.js";

export interface LoadOptions {
  /** The TOML file; left out: none is read, and every value is a default unless a variable or a flag sets it. */
  readonly file?: string | undefined;
  /** The environment; only M2PUSH_ variables are looked at. Left out: empty. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** The texts of flags by the path of their key, as in { "stream.max_clients": "5" }. Left out: empty. */
  readonly flags?: Readonly<Record<string, string | undefined>> | undefined;
  /** What the file, and relative paths in variables and flags, are relative to; left out: the working directory. */
  readonly cwd?: string | undefined;
}

export interface Loaded {
  readonly config: Config;
  /** Where each value came from, by path: "stream.retry", "mongrel2[0].name". Has every key. */
  readonly sources: ReadonlyMap<string, Source>;
}

/** Variables that begin with M2PUSH_ and are no keys. M2PUSH_DEBUG: the command line prints errors with their stacks. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set(["M2PUSH_DEBUG"]);

/** Reads and checks everything. Throws ConfigError ("config_invalid") with all faults. */
export function loadConfig(options: LoadOptions = {}): Loaded {
  return buildConfig(readDocument(options.file, options.cwd ?? process.cwd()), options);
}

/** The second half of loadConfig, for a document that is in memory. */
export function buildConfig(document: Document, options: LoadOptions = {}): Loaded {
  const cwd = options.cwd ?? process.cwd();
  const settings = new Settings(document.faults);
  const servers = serverTables(document).length;
  assumeDefaults(settings, document, servers);
  readTables(settings, document);
  readEnvironment(settings, options.env ?? {}, cwd);
  readFlags(settings, options.flags ?? {}, cwd);
  if (document.faults.length === 0) crossChecks(settings, servers);
  const sources = settings.finish();
  return { config: assemble(settings, servers), sources };
}

/** A default stands for a line of the file: its relative path is relative to the same folder. */
function assumeDefaults(settings: Settings, document: Document, servers: number): void {
  const assume = (section: string, keys: Keys): void => {
    for (const [name, key] of Object.entries(keys)) {
      settings.assume(`${section}.${name}`, key, positionOf(document, section), document.base);
    }
  };
  for (let index = 0; index < servers; index++) assume(`mongrel2[${index}]`, serverKeys);
  for (const [section, keys] of Object.entries(sections)) assume(section, keys);
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
  const inFile = namedKeys.find((key) => key.variable === variable)?.path;
  if (inFile !== undefined)
    return `expected the variable of a single value, got that of ${inFile}, which only a file can set`;
  if (variable.startsWith("M2PUSH_MONGREL2_"))
    return "expected the variable of a single value; only a file can set [[mongrel2]]";
  return `expected a known variable, got an unknown one; the nearest is ${nearestName((key) => key.variable, variable)}`;
}

function readFlags(settings: Settings, flags: NonNullable<LoadOptions["flags"]>, cwd: string): void {
  for (const [path, text] of Object.entries(flags)) {
    if (text === undefined) continue;
    const named = scalarKeys.find((key) => key.path === path);
    if (named !== undefined) offerText(settings, named, text, { from: "flag", flag: named.flag }, cwd);
    else
      settings.faults.push(
        `flag of ${path}: expected a known key, got an unknown one; the nearest is ${nearestName((key) => key.path, path)}`,
      );
  }
}

function offerText(settings: Settings, { path, key }: NamedKey, text: string, source: Source, cwd: string): void {
  settings.offer(path, key, key.kind.fromText === undefined ? text : key.kind.fromText(text), source, cwd);
}

function nearestName(nameOf: (key: NamedKey) => string, name: string): string {
  const [first = "", ...rest] = scalarKeys.map(nameOf);
  return suggest(name, [first, ...rest]);
}

/** The schema's tables gave every path its kind, and the Config type comes from the same tables: hence the cast. */
function assemble(settings: Settings, servers: number): Config {
  const values = (section: string, keys: Keys): object =>
    Object.fromEntries(Object.keys(keys).map((name) => [name, settings.get(`${section}.${name}`)?.value]));
  const mongrel2 = Array.from({ length: servers }, (_, index) => values(`mongrel2[${index}]`, serverKeys));
  const others = Object.entries(sections).map(([section, keys]) => [section, values(section, keys)]);
  return { mongrel2, ...Object.fromEntries(others) } as Config;
}
