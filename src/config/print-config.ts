/**
 * Prints the effective configuration as TOML: every key with its meaning, form, range and the place where its value came
 * from. What is printed loads again as the same configuration, but for keys and passwords, which are masked.
 */
import type { Loaded } from "./load-config.js";
import { type Key, type Keys, sections, serverKeys } from "./schema.js";
import { sourceText } from "./settings.js";

export function printConfig({ config, sources }: Loaded): string {
  const from = (path: string): string => {
    const source = sources.get(path);
    return source === undefined ? "default" : sourceText(source);
  };
  const servers = config.mongrel2.map((server, index) =>
    printTable("[[mongrel2]]", serverKeys, server, (name) => from(`mongrel2[${index}].${name}`)),
  );
  const others = Object.entries(sections).map(([section, keys]) =>
    printTable(`[${section}]`, keys, tableOf(config, section), (name) => from(`${section}.${name}`)),
  );
  return [...servers, ...others].join("\n");
}

type Values = Readonly<Record<string, unknown>>;

function printTable(header: string, keys: Keys, values: Values, from: (name: string) => string): string {
  const lines = Object.entries(keys).flatMap(([name, key]) => printKey(name, key, values[name], from(name)));
  return [header, ...lines, ""].join("\n");
}

/** A key without a value stands in a comment, where it can be filled in. */
function printKey(name: string, key: Key<unknown>, value: unknown, from: string): string[] {
  const hasValue = value !== undefined && value !== null;
  const line = hasValue ? `${name} = ${key.kind.print(value)}` : `# ${name} =`;
  return [`# ${key.doc}`, `# ${capital(key.kind.expected)}.`, `${line}  # ${from}`];
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const tableOf = (config: Loaded["config"], section: string): Values =>
  (config as unknown as Readonly<Record<string, Values>>)[section] ?? {};
