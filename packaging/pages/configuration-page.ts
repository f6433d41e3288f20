/** docs/configuration.md: every key of the configuration, written from the schema, so that it cannot say anything else. */
import { type Key, type Keys, scalarKeys, sections, serverKeys } from "../../src/config/schema.js";

const INTRODUCTION = `# Configuration

<!-- Made from src/config/schema.ts by \`npm run docs\`: change the texts there. -->

One TOML file, given with \`-c FILE\`. Every key has a default, so a file holds only what differs; without a file everything
is a default. Every key outside \`[[mongrel2]]\` that has a single value is also a flag and an environment variable:
\`[stream] max_clients\` is \`--stream-max-clients\` and \`M2PUSH_STREAM_MAX_CLIENTS\`. Flags win over variables, variables over the
file, the file over the defaults.

- **Durations**: a whole number and a unit: \`250ms\`, \`5s\`, \`2m\`, \`24h\`, \`7d\`. **Sizes**: \`64kB\`, \`256MB\`, \`1GB\` (powers of 1000),
  \`64KiB\`, \`256MiB\`, \`1GiB\` (powers of 1024).
- **Relative paths**, also those in \`ipc://\` addresses, are relative to the file; in flags and variables, to the working folder.
- **Changing it**: SIGHUP makes a running daemon read the file again. Keys marked *live* change at once; those marked *restart*
  stay as they were, and the log names them. A file with a fault changes nothing.
- **Checking it**: \`m2push config --check -c FILE\` lists all faults at once; \`m2push config --print -c FILE\` shows every value and
  where it came from.
`;

/** What each table is about. A table that is missing here is an error: see configurationPage(). */
const TABLES: Readonly<Record<string, string>> = {
  stream: "The plain EventSource address, and what holds for every stream.",
  beacon: "An event from time to time, so that there is always something to see.",
  publish: "The door for publishers that speak ZeroMQ. Whoever reaches it may publish.",
  hub: "The door for everybody else: subscribe and publish over HTTP, by the Mercure protocol.",
  history: "Past events, for clients that come back. The oldest are forgotten beyond any of the three limits.",
  auth: "Who may subscribe and publish over HTTP.",
  cluster: "Several daemons as one, through NATS JetStream.",
  admin: "What operators ask: metrics, health, status.",
  log: "JSON lines on standard output; for people to read where that is a terminal.",
};

const SERVERS =
  "One table for each Mongrel2 that the daemon serves. The first four names are those of the Handler in mongrel2.conf, seen " +
  "from Mongrel2. Only a file can set these keys; all of them need a restart.";

export function configurationPage(): string {
  const tables = Object.entries(sections).map(([name, keys]) => table(`[${name}]`, about(name), keys, name));
  return [INTRODUCTION, table("[[mongrel2]]", SERVERS, serverKeys, undefined), ...tables].join("\n");
}

function about(section: string): string {
  const text = TABLES[section];
  if (text === undefined)
    throw new TypeError(`say in packaging/pages/configuration-page.ts what [${section}] is about`);
  return text;
}

function table(header: string, text: string, keys: Keys, section: string | undefined): string {
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

function row(name: string, key: Key<unknown>, section: string | undefined): string {
  const { default: value, kind, doc, change } = key;
  const shown = value === undefined || value === null ? "none" : `\`${kind.print(value)}\``;
  const onlyFile = section !== undefined && !scalarKeys.some(({ path }) => path === `${section}.${name}`);
  const meaning = `${plain(doc)}<br>${plain(capital(kind.expected))}${onlyFile ? "; in the file only" : ""}.`;
  return `| \`${name}\` | ${shown} | ${meaning} | ${change} |`;
}

/** Markdown must not take anything in a text for its own. */
const plain = (text: string): string => text.replace(/[|*\\]/g, "\\$&").replaceAll("<", "&lt;");

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
