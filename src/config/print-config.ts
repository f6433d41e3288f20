/**
 * Prints the effective configuration as TOML: every key with its documentation, default, range, and the source of its value. The
 * output loads as the same configuration, except for keys and passwords, which are masked.
 */
import { capitalized, defaultText } from "./describe-key.js";
import type { LoadedConfig } from "./load-config.js";
import { type Config, type ConfigKey, type ConfigKeys, sections, tableArrays } from "./schema.js";
import { SECTION_DOCS } from "./section-docs.js";
import { sourceText } from "./value-source.js";

export function printConfig({ config, sources }: LoadedConfig): string {
  const from = (path: string): string => {
    const source = sources.get(path);
    return source === undefined ? "default" : sourceText(source);
  };
  const servers = config.mongrel2.map((server, index) =>
    printTable("mongrel2", "[[mongrel2]]", serverKeys, server, (name) => from(`mongrel2[${index}].${name}`)),
  );
  const others = Object.entries(sections).map(([section, keys]) =>
    printTable(section as keyof Config, `[${section}]`, keys, tableOf(config, section), (name) =>
      from(`${section}.${name}`),
    ),
  );
  const arrays = Object.entries(OPTIONAL_ARRAYS).flatMap(([array, keys]) => {
    const name = array as keyof typeof OPTIONAL_ARRAYS;
    const tables = config[name].map((table, index) =>
      printTable(name, `[[${name}]]`, keys, table, (key) => from(`${name}[${index}].${key}`)),
    );
    return tables.length > 0 ? tables : [example(name, keys)];
  });
  return [...servers, ...others, ...arrays].join("\n");
}

const { mongrel2: serverKeys, ...OPTIONAL_ARRAYS } = tableArrays;

/** Without any table of an array, its keys as comments. */
function example(array: keyof typeof OPTIONAL_ARRAYS, keys: ConfigKeys): string {
  const lines = Object.entries(keys).flatMap(([name, key]) => printKey(name, key, undefined, "default"));
  return [`# ${SECTION_DOCS[array]}`, `# [[${array}]]`, ...lines, ""].join("\n");
}

type Values = Readonly<Record<string, unknown>>;

function printTable(
  section: keyof Config,
  header: string,
  keys: ConfigKeys,
  values: Values,
  from: (name: string) => string,
): string {
  const lines = Object.entries(keys).flatMap(([name, key]) => printKey(name, key, values[name], from(name)));
  return [`# ${SECTION_DOCS[section]}`, header, ...lines, ""].join("\n");
}

/** A key without a value is printed as a comment, to be filled in. */
function printKey(name: string, key: ConfigKey<unknown>, value: unknown, from: string): string[] {
  const hasValue = value !== undefined && value !== null;
  const line = hasValue ? `${name} = ${key.type.print(value)}` : `# ${name} =`;
  return [
    `# ${key.doc}`,
    `# ${capitalized(key.type.expected)}. Default: ${defaultText(key.type.print, key.default)}.`,
    `${line}  # ${from}`,
  ];
}

const tableOf = (config: LoadedConfig["config"], section: string): Values =>
  (config as unknown as Readonly<Record<string, Values>>)[section] ?? {};
