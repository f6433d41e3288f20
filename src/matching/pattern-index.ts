/**
 * Which patterns can match a topic at all. A pattern mostly has some literal text, without which nothing matches it; so each is
 * filed under two or three characters of that text, in a row, and a topic is matched only against those filed under what is in
 * it. With 1,000 patterns of `https://example.com/{kind}/<number>` a topic never seen before costs 10 us instead of 280.
 *
 * Of its literal text a pattern is filed under what the fewest others have, too: `https://` tells nothing. Beginning and end of
 * a text count as characters. Keys are hashes: when two fall together, a pattern is tried in vain, and that is all.
 */
import type { PatternNode } from "./automaton.js";

/** A form of a topic that patterns are matched against. */
export type TopicForm = "text" | "hostname" | "pathname";

/** Literal text that a form of the topic must have in it; it begins with START and ends with END where it is anchored. */
export interface RequiredLiteral {
  readonly form: TopicForm;
  readonly literal: string;
}

/** No topic has control characters. */
const START = "\u0002";
const END = "\u0003";

/** A text with its beginning and end as characters. */
export const framed = (text: string): string => `${START}${text}${END}`;

/** What a text that a pattern matches must have in it. */
export function requiredLiterals(pattern: PatternNode, form: TopicForm): RequiredLiteral[] {
  const nodes = pattern.kind === "sequence" ? pattern.nodes : [pattern];
  const needs: RequiredLiteral[] = [];
  let literal = START;
  for (const node of nodes) {
    if (node.kind === "text") literal += node.text;
    else {
      needs.push({ form, literal });
      literal = "";
    }
  }
  needs.push({ form, literal: literal + END });
  return needs.filter((need) => need.literal.length > 1).map((need) => ({ form, literal: need.literal.slice(-MOST) }));
}

/** Characters of one literal text that are looked at, the last: 4 kB of them would cost 0.5 ms, and tell no more. */
const MOST = 64;

/** Of the table: a power of two. */
const SLOTS = 65_536;
/** Keeps the same text in two forms apart. */
const SALT: Readonly<Record<TopicForm, number>> = { text: 0x51ed270b, hostname: 0x2545f491, pathname: 0x632be5ab };

/** What is filed. */
export interface Indexed {
  readonly needs: readonly RequiredLiteral[];
  /** The query that last came upon it: each is tried once. */
  asked: number;
  /** The list that it is filed in, and where: an expensive look-up where a stranger has filed thousands in one place. */
  filed: Indexed[] | undefined;
  at: number;
}

export class PatternIndex<P extends Indexed> {
  /** Made with the first pattern, and so is #counts: 768 kB, which most servers never need. */
  #slots: (P[] | undefined)[] = [];
  /** How many patterns have what leads to a slot. */
  #counts = new Uint32Array();
  /** Those without literal text. */
  readonly #others: P[] = [];
  readonly #forms = new Map<TopicForm, number>();
  #queries = 0;

  add(pattern: P): void {
    if (this.#slots.length === 0) {
      this.#slots = new Array(SLOTS);
      this.#counts = new Uint32Array(SLOTS);
    }
    for (const slot of slotsOf(pattern)) this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
    for (const { form } of pattern.needs) this.#forms.set(form, (this.#forms.get(form) ?? 0) + 1);
    const place = this.#placeFor(pattern);
    pattern.filed = place;
    pattern.at = place.push(pattern) - 1;
  }

  remove(pattern: P): void {
    for (const slot of slotsOf(pattern)) this.#counts[slot] = (this.#counts[slot] ?? 1) - 1;
    for (const { form } of pattern.needs) this.#forms.set(form, (this.#forms.get(form) ?? 1) - 1);
    const { filed, at } = pattern;
    const last = filed?.pop();
    pattern.filed = undefined;
    if (!filed || !last || last === pattern) return;
    filed[at] = last;
    last.at = at;
  }

  /** Every pattern that may match, each once. `formOf`: the topic in a form; undefined = it has none, and no match there. */
  candidates(formOf: (form: TopicForm) => string | undefined): P[] {
    const query = ++this.#queries;
    const found = [...this.#others];
    const visit = (slot: number) => {
      for (const pattern of this.#slots[slot] ?? NOTHING) {
        if (pattern.asked !== query) found.push(pattern);
        pattern.asked = query;
      }
    };
    for (const [form, patterns] of this.#forms) {
      const value = patterns > 0 ? formOf(form) : undefined;
      if (value !== undefined) visitSlots(framed(value), form, visit);
    }
    return found;
  }

  /** Of what fewest patterns have, the last: the end of a text tells more than its beginning. */
  #placeFor(pattern: P): P[] {
    let best: number | undefined;
    for (const slot of slotsOf(pattern)) {
      if (best === undefined || (this.#counts[slot] ?? 0) <= (this.#counts[best] ?? 0)) best = slot;
    }
    if (best === undefined) return this.#others;
    this.#slots[best] ??= [];
    return this.#slots[best] as P[];
  }
}

const NOTHING: readonly never[] = [];

/** Each slot once, so that what is counted up is counted down. */
function slotsOf({ needs }: Indexed): Set<number> {
  const slots = new Set<number>();
  for (const { form, literal } of needs) visitSlots(literal, form, (slot) => void slots.add(slot));
  return slots;
}

/** The slots of all pairs and all threes of characters in a row. */
function visitSlots(text: string, form: TopicForm, visit: (slot: number) => void): void {
  const salt = SALT[form];
  let [before, first] = [0, text.charCodeAt(0)];
  for (let at = 1; at < text.length; at++) {
    const second = text.charCodeAt(at);
    const pair = Math.imul(first, 0x85ebca6b) ^ Math.imul(second, 0xc2b2ae35) ^ salt;
    visit((pair ^ (pair >>> 16)) & (SLOTS - 1));
    const three = pair ^ Math.imul(before, 0x9e3779b1);
    if (at > 1) visit((three ^ (three >>> 16)) & (SLOTS - 1));
    before = first;
    first = second;
  }
}
