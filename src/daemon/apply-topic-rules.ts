/** Applies the [[topic]] tables to the stored events, at the start and after a reload. */
import { KeptTopics } from "../delivery/kept-topics.js";
import { TopicLimits } from "../delivery/topic-limits.js";
import type { DaemonContext } from "./daemon-context.js";

/** Resolves when the events are counted that tables limit or keep. Where they cannot be read, each read tries again, and reports it. */
export async function applyTopicRules({ hub, rules, eventLog }: DaemonContext): Promise<void> {
  if (!hub || !rules || !eventLog) return;
  const { history } = eventLog;
  history.limit(new TopicLimits(rules, hub.topics));
  history.keep(new KeptTopics(rules, hub.topics));
  if (rules.keeps || rules.hasCounts) await hub.topics.ready()?.catch(() => {});
}
