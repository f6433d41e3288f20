/**
 * Selectors: sets of topics that subscribers request and tokens grant, in one of the notations of Mercure. A selector is validated when it is
 * parsed, so that every existing one can be matched.
 *
 * A selector has one text, `*` or `<kind>\t<value>` (topics contain no control characters). Selectors with the same text match the same topics:
 * texts identify audiences, and are stored with clients.
 */
import { ProtocolError } from "../errors.js";
import { LIMITS } from "../protocol/limits.js";
import { GenerationCache } from "../util/generation-cache.js";
import { compileNode, type PatternNode } from "./automaton.js";
import { CompileWork, type Cost, unlimitedWork } from "./compile-work.js";
import type { Matcher } from "./matcher.js";
import { matchesNfa, stepsSoFar } from "./nfa-matcher.js";
import { framed, requiredLiterals } from "./pattern-index.js";
import { simpleTemplate } from "./simple-template.js";
import { parseTemplate } from "./uri-template.js";
import { compileUrlPattern } from "./url-pattern.js";

export type Selector =
  /** Every topic. */
  | { readonly kind: "any" }
  /** The topic that equals the value byte for byte. */
  | { readonly kind: "exact"; readonly value: string }
  /** The topic that equals the value byte for byte, and those that the URI template matches. */
  | { readonly kind: "template"; readonly value: string }
  /** Topics that are URLs, or become URLs when resolved against the hub's, and match the pattern. */
  | { readonly kind: "urlpattern"; readonly value: string };

/** How a value is interpreted: `match_exact`, `match_urlpattern` and `match_type`; "template" is `topic` of Mercure 0.x. */
export type SelectorKind = Exclude<Selector["kind"], "any">;

/** A compiled pattern. */
interface Compiled {
  readonly base: string;
  readonly matcher: Matcher;
  /** The cost of compiling it. */
  readonly cost: Cost;
}

export const ANY: Selector = { kind: "any" };

/** C0, DEL, C1; invisible format characters; unpaired surrogates. */
const BAD_CHARACTER = /[\p{Cc}\p{Cf}\p{Cs}]/u;
/** The same, except ZWNJ and ZWJ, which topics of Mercure 0.x may contain. */
const BAD_IN_TEMPLATE = /[\p{Cc}\p{Cs}]|(?![\u200c\u200d])\p{Cf}/u;
/** Compiled patterns in the cache: a selector is compiled when it is parsed, indexed, and granted. */
const MAX_CACHED_PATTERNS = 2_000;

/**
 * Parses a selector of a request or a token (Mercure, "Topics" and "Matchers"). `base` is the hub's absolute URL. `*` is every topic, whatever
 * the kind; a "template" that is no template is an exact topic. An empty value matches nothing: no topic is empty. Throws "invalid" for forbidden
 * characters or an invalid pattern, "too_large" for a value that is too long or too complex. `work` counts all selectors of one request or token.
 */
export function parseSelector(kind: SelectorKind, value: string, base: string, work = new CompileWork()): Selector {
  checkText(value, kind === "template" ? BAD_IN_TEMPLATE : BAD_CHARACTER);
  if (value === "*") return ANY;
  const selector: Selector =
    kind === "template" && !isTemplate(value, work) ? { kind: "exact", value } : { kind, value };
  compile(selector, base, work);
  return selector;
}

function isTemplate(value: string, work: CompileWork): boolean {
  return value.includes("{") && readTemplate(value, work) !== undefined;
}

function readTemplate(value: string, work: CompileWork): PatternNode | undefined {
  work.spend("templateExpression", value.split("{").length - 1);
  return parseTemplate(value);
}

function checkText(value: string, forbidden: RegExp): void {
  const bytes = Buffer.byteLength(value);
  if (bytes > LIMITS.topicBytes) {
    throw new ProtocolError("too_large", `a selector has ${bytes} bytes, at most ${LIMITS.topicBytes} are taken`);
  }
  const bad = forbidden.exec(value)?.[0].codePointAt(0);
  if (bad === undefined) return;
  const name = `U+${bad.toString(16).toUpperCase().padStart(4, "0")}`;
  throw new ProtocolError("invalid", `a selector has ${name} in it, a control or invisible character`);
}

/** The text of a selector. */
export function textOf(selector: Selector): string {
  return selector.kind === "any" ? "*" : `${selector.kind}\t${selector.value}`;
}

/** The value as the subscriber wrote it. */
export function wordsOf(selector: Selector): string {
  return selector.kind === "any" ? "*" : selector.value;
}

/** The selector of a text that textOf() has made. A TypeError for any other. */
export function selectorOf(text: string): Selector {
  if (text === "*") return ANY;
  const [, kind, value] = /^(exact|template|urlpattern)\t([^\t\n]*)$/.exec(text) ?? [];
  if (kind === undefined || value === undefined)
    throw new TypeError(`not the text of a selector: ${JSON.stringify(text)}`);
  return { kind: kind as SelectorKind, value };
}

/** The same selectors sorted, each once: the form in which they are compared. */
export function canonical(selectors: readonly Selector[]): readonly Selector[] {
  const byText = new Map(selectors.map((selector) => [textOf(selector), selector]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, selector]) => selector);
}

/** One text for selectors in canonical form, separated by "\n". */
export function signature(selectors: readonly Selector[]): string {
  return selectors.map(textOf).join("\n");
}

const compiled = new GenerationCache<Compiled>(MAX_CACHED_PATTERNS);
/** The same by selector, for selectors that are compiled again and again: grants. */
const compiledBySelector = new WeakMap<Selector, Compiled>();

/**
 * Compiles a selector into a test of topics. The test costs at most MAX_STEP_COUNT steps for each topic (nfa-matcher.ts), usually well below a
 * microsecond. A pattern is compiled once while the selector exists or is among the last MAX_CACHED_PATTERNS in use. Throws as parseSelector()
 * does, but never for a selector that it has returned for the same base.
 */
export function compile(selector: Selector, base: string, work?: CompileWork): Matcher {
  if (selector.kind === "any") return () => true;
  const { kind, value } = selector;
  if (kind === "exact") return (topic) => topic === value;
  const known = compiledBySelector.get(selector);
  if (known?.base === base && !work) return known.matcher;
  const it = compiledOf(kind, value, base, work);
  compiledBySelector.set(selector, it);
  return it.matcher;
}

/** A cached pattern counts with its original cost. */
function compiledOf(kind: PatternKind, value: string, base: string, work = unlimitedWork()): Compiled {
  const key = `${kind}\t${value}\n${base}`;
  const known = compiled.get(key);
  if (known) work.repeat(known.cost);
  const it = known ?? compilePattern(kind, value, base, work);
  if (!known) compiled.set(key, it);
  return it;
}

type PatternKind = "template" | "urlpattern";

function compilePattern(kind: PatternKind, value: string, base: string, work: CompileWork): Compiled {
  const { value: matcher, cost } = work.measure(() => {
    work.spend("pattern");
    work.spend("character", value.length);
    return kind === "urlpattern" ? compileUrlPattern(value, base, work) : compileTemplate(value, work);
  });
  return { base, matcher, cost };
}

function compileTemplate(value: string, work: CompileWork): Matcher {
  const node = readTemplate(value, work);
  if (!node) return (topic) => topic === value;
  // Compiled in any case: a template costs the same, and is refused for the same reasons.
  const program = compileNode(node, work);
  const matches = simpleTemplate(value) ?? ((topic: string) => matchesNfa(program, topic));
  const test = (topic: string) => matches(topic) || topic === value;
  // The template itself contains its literal text, too, but not always at its beginning and end.
  const needs = requiredLiterals(node, "text").filter(({ literal }) => framed(value).includes(literal));
  return Object.assign(test, { needs, cost: program.ops.length });
}

/** Steps that one comparison with a token's patterns may take: 5 and 20 ms. */
const MAX_COVERS_STEPS = 500_000;
const MAX_COVERS_ALL_STEPS = 2_000_000;

/**
 * Whether a grant selects one of the topics: then its holder may read a private publication (Mercure, "Subscribers"). A comparison that needs more
 * than MAX_COVERS_STEPS counts as not selected, as for one pattern.
 */
export function covers(grants: readonly Selector[], topics: readonly string[], base: string): boolean {
  const matchers = grants.map((grant) => compile(grant, base));
  const end = stepsSoFar() + MAX_COVERS_STEPS;
  return topics.some((topic) => matchers.some((matches) => stepsSoFar() < end && matches(topic)));
}

/**
 * Whether each of the topics is selected by a grant: then its holder may publish (Mercure, "Publishers"). Throws "too_large" when the comparison
 * needs more than MAX_COVERS_ALL_STEPS.
 */
export function coversAll(grants: readonly Selector[], topics: readonly string[], base: string): boolean {
  const matchers = grants.map((grant) => compile(grant, base));
  const end = stepsSoFar() + MAX_COVERS_ALL_STEPS;
  return topics.every((topic) =>
    matchers.some((matches) => {
      if (stepsSoFar() > end) throw tooManyTopics(topics.length);
      return matches(topic);
    }),
  );
}

function tooManyTopics(topics: number): ProtocolError {
  const text = `${topics} topics are too expensive to compare with the patterns of the token`;
  return new ProtocolError("too_large", `${text}; fix: fewer topics, or a token with simpler patterns`);
}
