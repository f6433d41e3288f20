/**
 * Finds the patterns that can match a topic at all. Most patterns have literal text that a topic must contain; so each is listed under two or
 * three consecutive characters of that text, and a topic is tried only against the patterns listed under its own characters. With 1,000 patterns
 * `https://example.com/{kind}/<number>` a new topic costs 10 us instead of 280.
 *
 * A pattern is listed under the characters that the fewest other patterns have: `https://` does not distinguish. The beginning and the end of a
 * text count as characters. Keys are hashes: a collision costs a needless try.
 */
import type { PatternNode } from "./automaton.js";

/** A form of a topic that patterns are matched against. */
export type TopicForm = "text" | "hostname" | "pathname";

/** Literal text that a form of the topic must contain; it begins with START or ends with END where it is anchored. */
export interface RequiredLiteral {
  readonly form: TopicForm;
  readonly literal: string;
}

/** Topics contain no control characters. */
const START = "\u0002";
const END = "\u0003";

/** A text with its beginning and end marked by characters. */
export const framed = (text: string): string => `${START}${text}${END}`;

/** The literal texts that every match of a pattern contains. */
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
  return needs
    .filter((need) => need.literal.length > 1)
    .map((need) => ({ form, literal: need.literal.slice(-MAX_LITERAL_CHARACTERS) }));
}

/** Characters of one literal text that are used, the last ones: 4 kB would cost 0.5 ms and distinguish no better. */
const MAX_LITERAL_CHARACTERS = 64;

/** Slots of the table: a power of two. */
const SLOT_COUNT = 65_536;
/** Makes the same text hash differently in different forms. */
const SALT: Readonly<Record<TopicForm, number>> = { text: 0x51ed270b, hostname: 0x2545f491, pathname: 0x632be5ab };

/** A pattern in the index. */
export interface Indexed {
  readonly needs: readonly RequiredLiteral[];
  /** The last query that found it: each query returns it once. */
  lastQuery: number;
  /** Its list and its position there: searching would be expensive where a client has put thousands of patterns into one list. */
  list: Indexed[] | undefined;
  position: number;
}

export class PatternIndex<P extends Indexed> {
  /** Allocated with the first pattern, like #counts: 768 kB, which most servers never need. */
  #slots: (P[] | undefined)[] = [];
  /** Patterns whose literal text leads to a slot. */
  #counts = new Uint32Array();
  /** Patterns without literal text. */
  readonly #others: P[] = [];
  readonly #forms = new Map<TopicForm, number>();
  #queries = 0;

  add(pattern: P): void {
    if (this.#slots.length === 0) {
      this.#slots = new Array(SLOT_COUNT);
      this.#counts = new Uint32Array(SLOT_COUNT);
    }
    for (const slot of slotsOf(pattern)) this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
    for (const { form } of pattern.needs) this.#forms.set(form, (this.#forms.get(form) ?? 0) + 1);
    const place = this.#listFor(pattern);
    pattern.list = place;
    pattern.position = place.push(pattern) - 1;
  }

  remove(pattern: P): void {
    for (const slot of slotsOf(pattern)) this.#counts[slot] = (this.#counts[slot] ?? 1) - 1;
    for (const { form } of pattern.needs) this.#forms.set(form, (this.#forms.get(form) ?? 1) - 1);
    const { list: filed, position: at } = pattern;
    const last = filed?.pop();
    pattern.list = undefined;
    if (!filed || !last || last === pattern) return;
    filed[at] = last;
    last.position = at;
  }

  /** Every pattern that may match, each once. `formOf`: the topic in a form; undefined = it has no such form and matches nothing there. */
  candidates(formOf: (form: TopicForm) => string | undefined): P[] {
    const query = ++this.#queries;
    const found = [...this.#others];
    const visit = (slot: number) => {
      for (const pattern of this.#slots[slot] ?? NO_PATTERNS) {
        if (pattern.lastQuery !== query) found.push(pattern);
        pattern.lastQuery = query;
      }
    };
    for (const [form, patterns] of this.#forms) {
      const value = patterns > 0 ? formOf(form) : undefined;
      if (value !== undefined) visitSlots(framed(value), form, visit);
    }
    return found;
  }

  /** The list of the slot that the fewest patterns have; of equal ones the last, because the end of a text distinguishes better. */
  #listFor(pattern: P): P[] {
    let best: number | undefined;
    for (const slot of slotsOf(pattern)) {
      if (best === undefined || (this.#counts[slot] ?? 0) <= (this.#counts[best] ?? 0)) best = slot;
    }
    if (best === undefined) return this.#others;
    this.#slots[best] ??= [];
    return this.#slots[best] as P[];
  }
}

const NO_PATTERNS: readonly never[] = [];

/** Each slot once, so that add() and remove() count the same. */
function slotsOf({ needs }: Indexed): Set<number> {
  const slots = new Set<number>();
  for (const { form, literal } of needs) visitSlots(literal, form, (slot) => void slots.add(slot));
  return slots;
}

/** Visits the slots of all pairs and triples of consecutive characters. */
function visitSlots(text: string, form: TopicForm, visit: (slot: number) => void): void {
  const salt = SALT[form];
  let [before, first] = [0, text.charCodeAt(0)];
  for (let at = 1; at < text.length; at++) {
    const second = text.charCodeAt(at);
    const pair = Math.imul(first, 0x85ebca6b) ^ Math.imul(second, 0xc2b2ae35) ^ salt;
    visit((pair ^ (pair >>> 16)) & (SLOT_COUNT - 1));
    const three = pair ^ Math.imul(before, 0x9e3779b1);
    if (at > 1) visit((three ^ (three >>> 16)) & (SLOT_COUNT - 1));
    before = first;
    first = second;
  }
}
