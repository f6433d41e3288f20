/**
 * The [[topic]] tables: which one applies to a topic, and what it says. The first table that matches a topic applies to it, and an event
 * with several topics obeys the strictest of its tables. Without tables every method returns at once.
 *
 * An exact topic is one look-up. Patterns are tried in their order; where there are many of them, only on a topic that was not among the
 * last ones. Publishers choose topics, so the memory of them is bounded.
 */
import type { TopicTable } from "../config/schema.js";
import { M2pushError, messageOf, ProtocolError } from "../errors.js";
import type { Draft } from "../protocol/draft.js";
import { GenerationCache } from "../util/generation-cache.js";
import type { Matcher } from "./matcher.js";
import { compile, parseSelector, type Selector, type SelectorKind } from "./selector.js";

/** What one table says of each of its topics. A limit that it does not set is Infinity. */
export interface TopicRule {
  /** The index of its table, from 0. */
  readonly index: number;
  readonly selector: Selector;
  /** Newest events of the topic that are shown. */
  readonly maxEvents: number;
  readonly maxAgeMs: number;
  /** The newest event outlives the limits of the history. */
  readonly keepsLast: boolean;
  readonly ttlMs: number;
  readonly isPrivate: boolean;
  /** Events a second. */
  readonly rate: number;
  /** Streams without a token get none of its events. */
  readonly needsToken: boolean;
}

/** Topics whose table is remembered: an even number. */
const REMEMBERED_TOPICS = 200_000;
/** Up to this number, patterns are tried each time: a look-up among many topics takes as long as ten simple ones, 0.6 us. */
const MAX_TRIED_PATTERNS = 8;

const KINDS: readonly [key: "topic" | "template" | "pattern", kind: SelectorKind][] = [
  ["topic", "exact"],
  ["template", "template"],
  ["pattern", "urlpattern"],
];

export class TopicRules {
  readonly #base: string;
  /** By topic, for tables of one topic; of two with the same topic, the first. */
  #exact = new Map<string, TopicRule>();
  #patterns: { readonly rule: TopicRule; readonly matches: Matcher }[] = [];
  /** What the tables say of a topic; null = none applies. */
  readonly #remembered = new GenerationCache<TopicRule | null>(REMEMBERED_TOPICS);
  /** The topic of the last question: several are asked about each event. */
  #lastTopic = "";
  #lastRule: TopicRule | undefined;
  #rules: readonly TopicRule[] = [];
  #changesDrafts = false;
  #hasTokenTopics = false;
  #hasRates = false;
  #hasLimits = false;
  #hasCounts = false;
  #keeps = false;

  /** `base` is the hub's URL. Throws "config_invalid" for a selector that is not valid. */
  constructor(tables: readonly TopicTable[], base: string) {
    this.#base = base;
    this.#apply(tables.map((table, index) => ruleOf(table, index, base)));
  }

  /** From now on the rules of `other` hold. */
  replace(other: TopicRules): void {
    this.#apply(other.all);
  }

  #apply(rules: readonly TopicRule[]): void {
    this.#rules = rules;
    this.#exact = new Map();
    this.#patterns = [];
    this.#remembered.clear();
    this.#lastTopic = "";
    this.#lastRule = undefined;
    for (const rule of rules) this.#add(rule);
    this.#changesDrafts = rules.some(({ isPrivate, ttlMs }) => isPrivate || ttlMs < Number.POSITIVE_INFINITY);
    this.#hasCounts = rules.some(({ maxEvents }) => maxEvents < Number.POSITIVE_INFINITY);
    this.#hasLimits = this.#hasCounts || rules.some(({ maxAgeMs }) => maxAgeMs < Number.POSITIVE_INFINITY);
    this.#keeps = rules.some(({ keepsLast }) => keepsLast);
    this.#hasRates = rules.some(({ rate }) => rate < Number.POSITIVE_INFINITY);
    this.#hasTokenTopics = rules.some(({ needsToken }) => needsToken);
  }

  #add(rule: TopicRule): void {
    const { selector } = rule;
    if (selector.kind !== "exact") this.#patterns.push({ rule, matches: compile(selector, this.#base) });
    else if (!this.#exact.has(selector.value)) this.#exact.set(selector.value, rule);
  }

  /** In the order of the tables. */
  get all(): readonly TopicRule[] {
    return this.#rules;
  }

  /** Whether a topic may have a rate. */
  get hasRates(): boolean {
    return this.#hasRates;
  }

  /** Whether a topic may limit which of its stored events are shown. */
  get hasLimits(): boolean {
    return this.#hasLimits;
  }

  /** Whether a topic may limit their number. */
  get hasCounts(): boolean {
    return this.#hasCounts;
  }

  /** Whether the newest event of a topic may be kept. */
  get keeps(): boolean {
    return this.#keeps;
  }

  keepsLast(topic: string): boolean {
    return this.#keeps && this.of(topic)?.keepsLast === true;
  }

  /** The rule of the first table that matches a topic; undefined = none does. */
  of(topic: string): TopicRule | undefined {
    if (topic !== this.#lastTopic) {
      this.#lastRule = this.#find(topic);
      this.#lastTopic = topic;
    }
    return this.#lastRule;
  }

  #find(topic: string): TopicRule | undefined {
    const exact = this.#exact.get(topic);
    const [first] = this.#patterns;
    if (first === undefined || (exact && exact.index < first.rule.index)) return exact;
    if (this.#patterns.length <= MAX_TRIED_PATTERNS) return this.#try(topic, exact);
    const known = this.#remembered.get(topic);
    if (known !== undefined) return known ?? undefined;
    const rule = this.#try(topic, exact);
    this.#remembered.set(topic, rule ?? null);
    return rule;
  }

  #try(topic: string, exact: TopicRule | undefined): TopicRule | undefined {
    const before = exact?.index ?? Number.POSITIVE_INFINITY;
    for (const { rule, matches } of this.#patterns) {
      if (rule.index > before) return exact;
      if (matches(topic)) return rule;
    }
    return exact;
  }

  /** An event as its tables want it: private, if one of them says so, and with the shortest time to live. */
  applyTo(draft: Draft): Draft {
    if (!this.#changesDrafts) return draft;
    let { private: isPrivate, ttlMs = Number.POSITIVE_INFINITY } = draft;
    for (const topic of draft.topics) {
      const rule = this.of(topic);
      if (rule === undefined) continue;
      isPrivate ||= rule.isPrivate;
      ttlMs = Math.min(ttlMs, rule.ttlMs);
    }
    if (isPrivate === draft.private && ttlMs === (draft.ttlMs ?? Number.POSITIVE_INFINITY)) return draft;
    return { ...draft, private: isPrivate, ...(ttlMs < Number.POSITIVE_INFINITY && { ttlMs }) };
  }

  /** Whether there are topics of which streams without a token get no event. */
  get hasTokenTopics(): boolean {
    return this.#hasTokenTopics;
  }

  /** Whether streams without a token get no event with these topics. */
  needsToken(topics: readonly string[]): boolean {
    return this.#hasTokenTopics && topics.some((topic) => this.of(topic)?.needsToken === true);
  }
}

const orInfinity = (value: number): number => (value === 0 ? Number.POSITIVE_INFINITY : value);

function ruleOf(table: TopicTable, index: number, base: string): TopicRule {
  try {
    return {
      index,
      selector: topicSelector(table, base).selector,
      maxEvents: orInfinity(table.max_events),
      maxAgeMs: orInfinity(table.max_age),
      keepsLast: table.keep === "last",
      ttlMs: orInfinity(table.ttl),
      isPrivate: table.private,
      rate: orInfinity(table.rate),
      needsToken: !table.anonymous,
    };
  } catch (cause) {
    throw new M2pushError("config_invalid", `[[topic]] table ${index + 1}: ${messageOf(cause)}`, { cause });
  }
}

/** The selector of a table, and the key that gives it. Throws "invalid" or "too_large", with the value in question. */
export function topicSelector(table: TopicTable, base: string): { readonly key: string; readonly selector: Selector } {
  const [given] = KINDS.flatMap(([key, kind]) => {
    const value = table[key];
    return value === undefined ? [] : [{ key, kind, value }];
  });
  if (given === undefined) throw new ProtocolError("invalid", "it has neither topic nor template nor pattern");
  const { key, kind, value } = given;
  const selector = parseSelector(kind, value, base);
  if (kind === "template" && selector.kind === "exact")
    throw new ProtocolError("invalid", `"${value}" is no URI template; fix: topic = "${value}" for this one topic`);
  return { key, selector };
}
