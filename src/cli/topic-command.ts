/** `m2push topic`: which [[topic]] table applies to a topic, and the values that hold for its events. */
import type { Command } from "commander";
import type { LoadedConfig } from "../config/load-config.js";
import { type TopicTable, tableArrays } from "../config/schema.js";
import { tomlString } from "../config/show-value.js";
import { sourceText } from "../config/value-source.js";
import { hubUrl } from "../http/app.js";
import { TopicRules } from "../matching/topic-rules.js";
import { checkDraft } from "../protocol/draft.js";
import { printableLine } from "../util/escape.js";
import { selectorKey } from "./check-topic-tables.js";
import { type Io, processIo } from "./io.js";
import { addConfigOptions, loadFor } from "./options.js";

const DESCRIPTION =
  "Prints which [[topic]] table of the configuration applies to a topic, and the values that hold for its events, each with its source. " +
  "An event with several topics obeys the strictest of their tables.";

export function addTopic(program: Command, io: Io = processIo): void {
  const command = program.command("topic").summary("show the rules of a topic").description(DESCRIPTION);
  command.argument("<topic>", "the topic of an event, as publishers send it");
  addConfigOptions(command).action((topic: string) => {
    checkDraft({ topics: [topic], data: "", private: false });
    io.stdout.write(describeTopic(topic, loadFor(command, io)));
  });
}

function describeTopic(topic: string, loaded: LoadedConfig): string {
  const { config, sources } = loaded;
  const { index } = new TopicRules(config.topic, hubUrl(config)).of(topic) ?? {};
  const table = index === undefined ? undefined : config.topic[index];
  const from = (path: string): string => {
    const source = sources.get(path);
    return source === undefined ? "default" : sourceText(source);
  };
  const heading = table && index !== undefined ? headingOf(table, index, loaded, from) : NO_TABLE;
  const lines = Object.keys(tableArrays.topic)
    .filter((name) => !SELECTORS.has(name))
    .map((name) => {
      const general = GENERAL.find(({ key }) => key === name);
      const own = table && !isUnset(table, name) ? `topic[${index}].${name}` : undefined;
      return general === undefined || isStricter(table, general, loaded)
        ? line(name, table?.[name as keyof TopicTable], own === undefined ? "default" : from(own))
        : line(name, valueAt(loaded, general.path), `[${general.path.replace(".", "] ")}, ${from(general.path)}`);
    });
  return [heading, ...lines, ""].join("\n");
}

const NO_TABLE = "no [[topic]] table applies";
const SELECTORS: ReadonlySet<string> = new Set(["topic", "template", "pattern"]);

interface GeneralKey {
  readonly key: "max_events" | "max_age" | "anonymous";
  readonly path: string;
}

/** Keys of other tables that hold for every topic too. */
const GENERAL: readonly GeneralKey[] = [
  { key: "max_events", path: "history.max_events" },
  { key: "max_age", path: "history.max_age" },
  { key: "anonymous", path: "auth.anonymous" },
];

const isUnset = (table: TopicTable, name: string): boolean =>
  table[name as keyof TopicTable] === tableArrays.topic[name]?.default;

function headingOf(table: TopicTable, index: number, { config }: LoadedConfig, from: (path: string) => string): string {
  const key = selectorKey(table);
  const selector = printableLine(`${key} = ${tomlString(table[key] ?? "")}`);
  return `table ${index + 1} of ${config.topic.length} applies: ${selector}  # ${from(`topic[${index}].${key}`)}`;
}

function line(name: string, value: unknown, source: string): string {
  const key = tableArrays.topic[name];
  return `${name} = ${key?.type.print((value ?? key.default) as never)}  # ${source}`;
}

/** Whether the table says less than the general key, which holds for all topics. */
function isStricter(table: TopicTable | undefined, { key, path }: GeneralKey, loaded: LoadedConfig): boolean {
  const general = valueAt(loaded, path);
  if (table === undefined) return false;
  if (key === "anonymous") return !table.anonymous && general === true;
  return table[key] > 0 && table[key] < Number(general);
}

function valueAt({ config }: LoadedConfig, path: string): unknown {
  const [section = "", name = ""] = path.split(".");
  return (config as unknown as Readonly<Record<string, Readonly<Record<string, unknown>>>>)[section]?.[name];
}
