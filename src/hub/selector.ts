/**
 * Selectors: what subscribers ask for and what tokens grant. Each belongs to one of the ways in which Mercure says "these
 * topics", and is checked where it comes in, so that one that exists can be matched.
 *
 * A selector has one text, `*` or `<kind>\t<value>` (no topic holds a control character). Two with the same text match the
 * same topics: texts name audiences, and are what is stored of a client.
 */
import { ProtocolError } from "../errors.js";
import { LIMITS } from "../protocol/limits.js";
import { Recent } from "../util/recent.js";
import { compileNode } from "./select/automaton.js";
import { matches } from "./select/machine.js";
import { framed, type Need, needsOf } from "./select/shortlist.js";
import { parseTemplate } from "./select/template.js";
import { compileUrlPattern } from "./select/urlpattern.js";

export type Selector =
  /** Every topic. */
  | { readonly kind: "any" }
  /** The topic that is this, byte for byte. */
  | { readonly kind: "exact"; readonly value: string }
  /** The topic that is this, byte for byte, and those that the URI template matches. */
  | { readonly kind: "template"; readonly value: string }
  /** Topics that are URLs, or become URLs when resolved against the hub's, and match. */
  | { readonly kind: "urlpattern"; readonly value: string };

/** How a value is to be read: `match_exact`, `match_urlpattern` and `match_type`; "template" is `topic` of Mercure 0.x. */
export type SelectorKind = Exclude<Selector["kind"], "any">;

export interface Matcher {
  (topic: string): boolean;
  /** Of a pattern: what a topic must have in it to match. */
  readonly needs?: readonly Need[];
}

export const ANY: Selector = { kind: "any" };

/** C0, DEL, C1; format characters, which a reader does not see; halves of surrogate pairs. */
const BAD_CHARACTER = /[\p{Cc}\p{Cf}\p{Cs}]/u;
/** The same but for ZWNJ and ZWJ, which topics of Mercure 0.x may have. */
const BAD_IN_TEMPLATE = /[\p{Cc}\p{Cs}]|(?![\u200c\u200d])\p{Cf}/u;
/** Compiled patterns: a selector is compiled when it is checked, indexed, and granted. */
const COMPILED = 2_000;

/**
 * Reads what a request or a token says (Mercure, "Topics" and "Matchers"). `base` is the hub's URL, absolute. `*` is every
 * topic, whatever the kind; what is no template is an exact topic. An empty value matches as it stands: no topic is empty.
 * Throws "protocol.request" for what may not be, "limit.exceeded" for what is too long or too complex.
 */
export function parseSelector(kind: SelectorKind, value: string, base: string): Selector {
  checkText(value, kind === "template" ? BAD_IN_TEMPLATE : BAD_CHARACTER);
  if (value === "*") return ANY;
  const selector: Selector = kind === "template" && !isTemplate(value) ? { kind: "exact", value } : { kind, value };
  compile(selector, base);
  return selector;
}

function isTemplate(value: string): boolean {
  return value.includes("{") && parseTemplate(value) !== undefined;
}

function checkText(value: string, forbidden: RegExp): void {
  const bytes = Buffer.byteLength(value);
  if (bytes > LIMITS.topicBytes) {
    throw new ProtocolError("limit.exceeded", `a selector has ${bytes} bytes, at most ${LIMITS.topicBytes} are taken`);
  }
  const bad = forbidden.exec(value)?.[0].codePointAt(0);
  if (bad === undefined) return;
  const name = `U+${bad.toString(16).toUpperCase().padStart(4, "0")}`;
  throw new ProtocolError("protocol.request", `a selector has ${name} in it, a control or invisible character`);
}

/** The text of a selector. */
export function textOf(selector: Selector): string {
  return selector.kind === "any" ? "*" : `${selector.kind}\t${selector.value}`;
}

/** What a subscriber wrote. */
export function wordsOf(selector: Selector): string {
  return selector.kind === "any" ? "*" : selector.value;
}

/** The selector of a text that textOf() has made. A TypeError for any other: nobody else writes them. */
export function selectorOf(text: string): Selector {
  if (text === "*") return ANY;
  const [, kind, value] = /^(exact|template|urlpattern)\t([^\t\n]*)$/.exec(text) ?? [];
  if (kind === undefined || value === undefined)
    throw new TypeError(`not the text of a selector: ${JSON.stringify(text)}`);
  return { kind: kind as SelectorKind, value };
}

/** The same selectors in their one order, each once: the form in which they are compared. */
export function canonical(selectors: readonly Selector[]): readonly Selector[] {
  const byText = new Map(selectors.map((selector) => [textOf(selector), selector]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, selector]) => selector);
}

/** One text for selectors in canonical form; "\n" parts them. */
export function signature(selectors: readonly Selector[]): string {
  return selectors.map(textOf).join("\n");
}

const compiled = new Recent<Matcher>(COMPILED);
/** The same by selector, for those that are asked again and again: grants. */
const held = new WeakMap<Selector, { readonly base: string; readonly matcher: Matcher }>();

/**
 * What tells whether a topic is selected. However it was made up, it costs at most MAX_STEPS for each topic (machine.ts); a
 * usual one well below a microsecond. A pattern is compiled once, as long as the selector is held, or is among the last
 * 2,000 in use. Throws as parseSelector() does, but never for a selector that it has returned for the same base.
 */
export function compile(selector: Selector, base: string): Matcher {
  if (selector.kind === "any") return () => true;
  const { kind, value } = selector;
  if (kind === "exact") return (topic) => topic === value;
  const known = held.get(selector);
  if (known?.base === base) return known.matcher;
  const key = `${textOf(selector)}\n${base}`;
  const matcher = compiled.get(key) ?? compilePattern(kind, value, base);
  compiled.set(key, matcher);
  held.set(selector, { base, matcher });
  return matcher;
}

function compilePattern(kind: "template" | "urlpattern", value: string, base: string): Matcher {
  if (kind === "urlpattern") return compileUrlPattern(value, base);
  const node = parseTemplate(value);
  if (!node) return (topic) => topic === value;
  const program = compileNode(node);
  const test = (topic: string) => topic === value || matches(program, topic);
  // The template itself has its literal text in it, too, but not always at its beginning and end.
  return Object.assign(test, { needs: needsOf(node, "text").filter(({ literal }) => framed(value).includes(literal)) });
}

/** Whether a grant selects one of the topics: then its holder may read a private publication (Mercure, "Subscribers"). */
export function covers(grants: readonly Selector[], topics: readonly string[], base: string): boolean {
  return grants.some((grant) => topics.some(compile(grant, base)));
}

/** Whether each of the topics is selected by a grant: then its holder may publish (Mercure, "Publishers"). */
export function coversAll(grants: readonly Selector[], topics: readonly string[], base: string): boolean {
  const matchers = grants.map((grant) => compile(grant, base));
  return topics.every((topic) => matchers.some((matches) => matches(topic)));
}
