/**
 * URL patterns (URL Pattern Standard) as Mercure uses them: from one text, against a base URL, case-sensitive, and only to determine whether a
 * topic matches. Every subscriber may send one, so they are compiled here: other implementations run parts of a pattern through a backtracking
 * RegExp while they parse it (the protocol, to determine whether it has hosts), and `{*}{*}{*}...x://` then takes arbitrarily long
 * (docs/decisions/0011-own-pattern-matching.md).
 *
 * A topic is a URL, or is resolved against the base; otherwise it matches nothing. Parts after the last one that a pattern names match anything:
 * `https://example.com/books/:id` matches `https://me@example.com/books/1?page=2#top`.
 */

import { compileNode, type NfaProgram } from "./automaton.js";
import type { CompileWork } from "./compile-work.js";
import type { Matcher } from "./matcher.js";
import { MAX_STEP_COUNT, matchesNfa, stepsSoFar } from "./nfa-matcher.js";
import * as encode from "./pattern-encode.js";
import { type RequiredLiteral, requiredLiterals } from "./pattern-index.js";
import { isAnything, type PartRules, parsePart } from "./pattern-part.js";
import { type PartName, type Parts, splitPattern } from "./pattern-string.js";

const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: "80", https: "443", ws: "80", wss: "443", ftp: "21" };
const SPECIAL = ["http", "https", "ws", "wss", "ftp", "file"];

/** The parts of a URL as patterns match them: without ":", "?" and "#" around them. */
type TopicParts = Readonly<Record<PartName, string>>;

/** The test of one part. */
interface PartTest {
  readonly part: PartName;
  readonly program: NfaProgram;
  readonly needs: readonly RequiredLiteral[];
}

/**
 * Throws "invalid" for text that is no pattern or has an unsupported regular expression, "too_large" for a pattern that is too complex. `base` is
 * an absolute URL.
 */
export function compileUrlPattern(pattern: string, base: string, work: CompileWork): Matcher {
  const split = splitPattern(pattern, (protocol) => isSpecial(protocol, work));
  const tests = testsOf(resolve(split, new URL(base)), work);
  const test = (topic: string) => {
    const parts = partsOfTopic(topic, base);
    return parts !== undefined && matchesAll(tests, parts);
  };
  const cost = tests.reduce((sum, { program }) => sum + program.ops.length, 0);
  return Object.assign(test, { needs: tests.flatMap(({ needs }) => needs), cost });
}

/** All parts together may take as many steps as one text. */
function matchesAll(tests: readonly PartTest[], parts: TopicParts): boolean {
  const end = stepsSoFar() + MAX_STEP_COUNT;
  return tests.every(({ part, program }) => matchesNfa(program, parts[part], end - stepsSoFar()));
}

/** A part of a topic as patterns match it; undefined when the topic is no URL. */
export function partOfTopic(part: PartName, topic: string, base: string): string | undefined {
  return partsOfTopic(topic, base)?.[part];
}

/** Whether the pattern of a protocol matches one whose URLs have hosts and paths. */
function isSpecial(protocol: string, work: CompileWork): boolean {
  const program = compileNode(parsePart(protocol, anyCharacters(encode.encodeProtocol), work), work);
  const before = stepsSoFar();
  const isOne = SPECIAL.some((scheme) => matchesNfa(program, scheme));
  work.spend("step", stepsSoFar() - before);
  return isOne;
}

/**
 * Parts before the first one that a pattern names are taken from the base, except user name and password; a relative path is resolved against the
 * base's, even after a protocol ("Process a URLPatternInit").
 */
function resolve(parts: Parts, base: URL): Parts {
  const resolved: Parts = { ...parts };
  const named = partNames(parts);
  const { protocol, hostname, port, pathname, search } = partsOfUrl(base);
  if (parts.pathname !== undefined) resolved.pathname = absolute(parts.pathname, pathname);
  else if (!named.has("protocol")) resolved.pathname = literally(pathname);
  if (!named.has("protocol")) Object.assign(resolved, { protocol, hostname: literally(hostname), port });
  if (named.size === 1 && named.has("hash")) resolved.search = literally(search);
  if (parts.port !== undefined && parts.port === DEFAULT_PORTS[parts.protocol ?? ""]) resolved.port = "";
  return resolved;
}

function partNames(parts: Parts): ReadonlySet<string> {
  return new Set(Object.keys(parts));
}

function absolute(pathname: string, base: string): string {
  const isAbsolute = /^(?:\\|\{)?\//.test(pathname);
  return isAbsolute ? pathname : literally(base.slice(0, base.lastIndexOf("/") + 1)) + pathname;
}

/** Literal text as a pattern. */
function literally(literal: string): string {
  return literal.replace(/[+*?:{}()\\]/g, "\\$&");
}

/** One test for each part that does not match everything; the cheapest first. */
function testsOf(parts: Parts, work: CompileWork): PartTest[] {
  const hasHosts = parts.protocol === undefined || isSpecial(parts.protocol, work);
  const tests: PartTest[] = [];
  for (const [part, pattern] of Object.entries(parts) as [PartName, string][]) {
    const node = parsePart(stripped(part, pattern), rulesOf(part, pattern, hasHosts), work);
    const needs = part === "hostname" || part === "pathname" ? requiredLiterals(node, part) : [];
    if (!isAnything(node)) tests.push({ part, program: compileNode(node, work), needs });
  }
  return tests.sort((a, b) => a.program.ops.length - b.program.ops.length);
}

/** Removes a second mark at the beginning of a query or a fragment. */
function stripped(part: PartName, pattern: string): string {
  const mark = part === "search" ? "?" : part === "hash" ? "#" : undefined;
  return mark !== undefined && pattern.startsWith(mark) ? pattern.slice(1) : pattern;
}

function rulesOf(part: PartName, pattern: string, hasHosts: boolean): PartRules {
  switch (part) {
    case "protocol":
      return anyCharacters(encode.encodeProtocol);
    case "username":
      return anyCharacters(encode.encodeUsername);
    case "password":
      return anyCharacters(encode.encodePassword);
    case "hostname":
      return { delimiter: ".", prefix: "", encode: encodeHostFor(pattern, hasHosts) };
    case "port":
      return anyCharacters(encode.encodePort);
    case "pathname":
      return hasHosts
        ? { delimiter: "/", prefix: "/", encode: encode.encodePath }
        : anyCharacters(encode.encodeOpaquePath);
    case "search":
      return anyCharacters(encode.encodeSearch);
    case "hash":
      return anyCharacters(encode.encodeHash);
  }
}

/** Names match any characters, and have no prefix. */
function anyCharacters(encodeText: (text: string) => string): PartRules {
  return { delimiter: "", prefix: "", encode: encodeText };
}

function encodeHostFor(pattern: string, hasHosts: boolean): (text: string) => string {
  if (/^(?:\[.|[\\{]\[)/.test(pattern)) return encode.encodeAddress;
  return hasHosts ? encode.encodeDomain : encode.encodeOpaqueHost;
}

/** The last parsed topic: many patterns are tried on one topic, not the reverse. */
let last: { readonly topic: string; readonly base: string; readonly parts: TopicParts | undefined } | undefined;

function partsOfTopic(topic: string, base: string): TopicParts | undefined {
  if (last?.topic !== topic || last.base !== base) last = { topic, base, parts: partsIfUrl(topic, base) };
  return last.parts;
}

/** new URL() in a try: the optimised URL.canParse() of Node 20 rejects URLs with characters beyond ASCII. */
function partsIfUrl(topic: string, base: string): TopicParts | undefined {
  try {
    return partsOfUrl(new URL(topic, base));
  } catch {
    return undefined;
  }
}

function partsOfUrl(url: URL): TopicParts {
  const { username, password, hostname, port, pathname } = url;
  const protocol = url.protocol.slice(0, -1);
  return {
    protocol,
    username,
    password,
    hostname,
    port,
    pathname,
    search: url.search.slice(1),
    hash: url.hash.slice(1),
  };
}
