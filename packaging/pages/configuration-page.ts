/** docs/configuration.md: every key of the configuration, generated from the schema. */
import { capitalized, defaultText } from "../../src/config/describe-key.js";
import {
  type Config,
  type ConfigKey,
  type ConfigKeys,
  scalarKeys,
  sections,
  tableArrays,
} from "../../src/config/schema.js";
import { SECTION_DOCS } from "../../src/config/section-docs.js";

const INTRODUCTION = `# Configuration

<!-- Generated from src/config/schema.ts and src/config/section-docs.ts by \`npm run docs\`. Edit the texts there. -->

The configuration is one TOML file, given with \`-c FILE\`. Every key has a default: a file contains only the keys that differ, and
without a file all keys have their defaults. Every key outside the tables \`[[mongrel2]]\`, \`[[topic]]\`, \`[[issuer]]\` and \`[[webhook]]\` that has a single value is also a flag
and an environment variable: \`[stream] max_clients\` is \`--stream-max-clients\` and \`M2PUSH_STREAM_MAX_CLIENTS\`. Flags override variables,
variables override the file, the file overrides the defaults.

- **Durations** are a whole number and a unit: \`250ms\`, \`5s\`, \`2m\`, \`24h\`, \`7d\`. **Sizes** too: \`64kB\`, \`256MB\`, \`1GB\` (powers
  of 1000), \`64KiB\`, \`256MiB\`, \`1GiB\` (powers of 1024).
- **Relative paths**, including those of \`ipc://\` addresses, are relative to the file; in flags and variables, to the working folder.
- **Reloading**: on SIGHUP a running daemon reads the file again. Keys marked *live* change at once. Keys marked *restart* change with
  the next start; the daemon logs their names. An invalid file changes nothing.
- **Checking**: \`m2push config --check -c FILE\` reports all errors at once. \`m2push config --print -c FILE\` prints every key with its
  value and the source of the value.
- **Editors**: the first line \`#:schema ./m2push.schema.json\` gives editors that know TOML (taplo, Even Better TOML) completion, texts and
  faults; \`m2push config --schema\` prints that JSON Schema.
`;

export function configurationPage(): string {
  const tables = Object.entries(sections).map(([name, keys]) =>
    table(`[${name}]`, SECTION_DOCS[name as keyof Config], keys, name),
  );
  const [servers = "", ...arrays] = Object.entries(tableArrays).map(([name, keys]) =>
    table(`[[${name}]]`, `${SECTION_DOCS[name as keyof Config]} Only the file can set these keys.`, keys, undefined),
  );
  return [INTRODUCTION, servers, ...tables, ...arrays].join("\n");
}

function table(header: string, text: string, keys: ConfigKeys, section: string | undefined): string {
  const rows = Object.entries(keys).map(([name, key]) => row(name, key, section));
  return [
    `## ${header}`,
    "",
    text,
    "",
    "| key | default | meaning | change |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

function row(name: string, key: ConfigKey<unknown>, section: string | undefined): string {
  const { default: value, type, doc, change } = key;
  const text = defaultText(type.print, value);
  const shown = text === "none" ? text : `\`${text}\``;
  const onlyFile = section !== undefined && !scalarKeys.some(({ path }) => path === `${section}.${name}`);
  const meaning = `${plain(doc)}<br>${plain(capitalized(type.expected))}${onlyFile ? " (in the file only)" : ""}.`;
  return `| \`${name}\` | ${shown} | ${meaning} | ${change} |`;
}

/** Escapes the characters that Markdown would interpret. */
const plain = (text: string): string => text.replace(/[|*\\]/g, "\\$&").replaceAll("<", "&lt;");
