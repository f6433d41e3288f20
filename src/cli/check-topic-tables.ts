/** Checks the selectors of the [[topic]] tables, which only matching/ can read: the configuration itself checks their characters. */
import { ConfigError } from "../config/config-error.js";
import type { LoadedConfig } from "../config/load-config.js";
import type { TopicTable } from "../config/schema.js";
import { sourceText } from "../config/value-source.js";
import { messageOf } from "../errors.js";
import { hubUrl } from "../http/app.js";
import { topicSelector } from "../matching/topic-rules.js";

/** The key that gives the selector of a table. */
export const selectorKey = (table: TopicTable): "topic" | "template" | "pattern" =>
  table.topic !== undefined ? "topic" : table.template !== undefined ? "template" : "pattern";

/** Throws ConfigError with every fault. */
export function checkTopicTables({ config, sources }: LoadedConfig): void {
  const faults = config.topic.flatMap((table, index) => {
    const key = selectorKey(table);
    try {
      topicSelector(table, hubUrl(config));
      return [];
    } catch (error) {
      const source = sources.get(`topic[${index}].${key}`) ?? ({ from: "default" } as const);
      return [`${sourceText(source)}: topic.${key}: ${messageOf(error)}`];
    }
  });
  if (faults.length > 0) throw new ConfigError(faults);
}
