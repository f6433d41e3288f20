/** Whether each [[topic]] table can apply to a topic: the first table that matches does, so an earlier one may cover a later one. */
import type { Config } from "../../config/schema.js";
import { hubUrl } from "../../http/app.js";
import { compile, type Selector, textOf, wordsOf } from "../../matching/selector.js";
import { type TopicRule, TopicRules } from "../../matching/topic-rules.js";
import { type Finding, ok, quoted, warn } from "./finding.js";

/** Empty without tables. That one pattern covers another one is found only where both are the same. */
export function checkTopics(config: Config): Finding[] {
  const base = hubUrl(config);
  const { all } = new TopicRules(config.topic, base);
  const findings = all.flatMap((rule) => {
    const covering = all.slice(0, rule.index).find(({ selector }) => covers(selector, rule.selector, base));
    return covering === undefined ? [] : topicFindings.covered(rule, covering);
  });
  return all.length > 0 && findings.length === 0 ? [topicFindings.good(all.length)] : findings;
}

function covers(earlier: Selector, later: Selector, base: string): boolean {
  if (earlier.kind === "any" || textOf(earlier) === textOf(later)) return true;
  return later.kind === "exact" && compile(earlier, base)(later.value);
}

const topicFindings = {
  good: (tables: number) =>
    ok(`${tables} [[topic]] ${tables === 1 ? "table" : "tables"}, none is covered by an earlier one`),
  covered: (rule: TopicRule, by: TopicRule) =>
    warn(
      `[[topic]] table ${rule.index + 1} (${quoted(wordsOf(rule.selector))}) never applies: table ${by.index + 1} (${quoted(wordsOf(by.selector))}) matches all of its topics before`,
      `move it before table ${by.index + 1}, or remove it`,
    ),
};
