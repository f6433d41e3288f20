/**
 * Reads the regular expressions in URL patterns, `(...)`, into an automaton. JavaScript's parser checks the syntax first (and runs nothing), so
 * the text is valid here.
 *
 * Supported is everything except what no automaton can do (backreferences) and what is unusual in a URL (lookaround, word boundaries, inline
 * flags): these are rejected, never misread. Greediness of a quantifier (`+?`) has no effect on whether a text matches, and is ignored.
 *
 * Unicode properties are not given to the parser: it would build the whole set, which takes 14 ms for `\p{RGI_Emoji}`.
 */
import { ProtocolError } from "../errors.js";
import { type CharacterClass, choice, type PatternNode, repeat, sequence, textNode } from "./automaton.js";
import { type Flags, readClass } from "./character-class.js";
import type { CompileWork } from "./compile-work.js";
import { isPropertyOfStrings, propertyMembers } from "./unicode-property.js";

/** Levels of nested groups. */
const MAX_NESTING_DEPTH = 50;
/** Distinct classes in one expression. */
const MAX_CLASS_COUNT = 64;

/** Set notation first (URL Pattern Standard); expressions that are valid only without it are accepted too, as in most engines. */
const FLAGS: readonly Flags[] = ["v", "u"];

/** An escaped character, a class, or something unsupported. */
const ESCAPE = /\\(?:c[A-Za-z]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]+\}|[pP]\{[^}]*\}|.)/suy;
const PUNCTUATION = /^\\[^A-Za-z0-9]$/;
const GROUP = /\((?:\?:|\?<[^>=!]+>|(?!\?))/y;
const QUANTIFIER = /(?:([*+?])|\{(\d+)(?:(,)(\d+)?)?\})\??/y;
const QUANTITIES: Readonly<Record<string, readonly [number, number]>> = {
  "*": [0, Number.POSITIVE_INFINITY],
  "+": [1, Number.POSITIVE_INFINITY],
  "?": [0, 1],
};

/** Throws "invalid" for text that is no regular expression or uses something unsupported, "too_large" above the limits. */
export function parseRegExp(source: string, work: CompileWork): PatternNode {
  work.spend("expression");
  work.spend("character", 3 * source.length);
  const checked = withoutProperties(source, work);
  const flags = FLAGS.find((each) => isValid(checked, each));
  if (flags === undefined) throw refused(source, "it is not a regular expression");
  return new Reader(source, flags, work).read();
}

const ESCAPES_AND_PROPERTIES = /\\(?:([pP])\{([^}]*)\}|.)/gsu;

/**
 * Replaces each Unicode property by a class that is valid in the same place and costs nothing. An unknown property stays, so that the parser
 * rejects it.
 */
function withoutProperties(source: string, work: CompileWork): string {
  return source.replace(ESCAPES_AND_PROPERTIES, (whole: string, sign?: string, name = "") => {
    if (sign === undefined) return whole;
    if (isPropertyOfStrings(name)) {
      work.spend("stringProperty");
      if (sign === "P") throw refused(source, `\\P{${name}} is not a regular expression`);
      return "[\\q{ab}]";
    }
    work.spend("property");
    return propertyMembers(name) ? "\\d" : whole;
  });
}

function isValid(source: string, flags: Flags): boolean {
  try {
    new RegExp(source, flags);
    return true;
  } catch {
    return false;
  }
}

function refused(source: string, why: string): ProtocolError {
  return new ProtocolError("invalid", `(${source}) cannot be used: ${why}`);
}

class Reader {
  readonly #source: string;
  readonly #flags: Flags;
  readonly #work: CompileWork;
  readonly #classes = new Map<string, CharacterClass>();
  #at = 0;
  #depth = 0;

  constructor(source: string, flags: Flags, work: CompileWork) {
    this.#source = source;
    this.#flags = flags;
    this.#work = work;
  }

  /** Alternatives, up to the end of the group. */
  read(): PatternNode {
    if (this.#depth > MAX_NESTING_DEPTH)
      throw new ProtocolError("too_large", `groups nested deeper than ${MAX_NESTING_DEPTH}`);
    const first = this.#sequence();
    const others: PatternNode[] = [];
    while (this.#skip("|")) others.push(this.#sequence());
    return choice(first, ...others);
  }

  #sequence(): PatternNode {
    const nodes: PatternNode[] = [];
    while (this.#at < this.#source.length && !this.#sees("|") && !this.#sees(")")) nodes.push(this.#quantified());
    return sequence(...nodes);
  }

  #quantified(): PatternNode {
    const node = this.#atom();
    const [all, symbol, min, comma, max] = this.#match(QUANTIFIER) ?? [];
    if (all === undefined) return node;
    const known = symbol === undefined ? undefined : QUANTITIES[symbol];
    if (known) return repeat(node, ...known);
    const open = comma === undefined ? Number(min) : Number.POSITIVE_INFINITY;
    return repeat(node, Number(min), max === undefined ? open : Number(max));
  }

  #atom(): PatternNode {
    if (this.#sees("(")) return this.#group();
    if (this.#sees("[")) return this.#class(this.#bracketed());
    if (this.#sees("\\")) return this.#escape();
    if (this.#skip("^")) return { kind: "start" };
    if (this.#skip("$")) return { kind: "end" };
    if (this.#skip(".")) return this.#class(".");
    return textNode(this.#source[this.#at++] ?? "");
  }

  #group(): PatternNode {
    if (!this.#match(GROUP)) throw refused(this.#source, "lookaround and inline flags are not supported");
    this.#depth++;
    const node = this.read();
    this.#depth--;
    this.#at++;
    return node;
  }

  #escape(): PatternNode {
    const escaped = this.#match(ESCAPE)?.[0] ?? "";
    if (PUNCTUATION.test(escaped)) return textNode(escaped.slice(1));
    if (/^\\[bB]/.test(escaped)) throw refused(this.#source, "word boundaries are not supported");
    if (/^\\[1-9k]/.test(escaped)) throw refused(this.#source, "backreferences are not supported");
    return this.#class(escaped);
  }

  /** `[...]`, with nested classes. */
  #bracketed(): string {
    const from = this.#at;
    let depth = 0;
    do {
      const character = this.#source[this.#at];
      if (character === "\\") this.#at++;
      else if (character === "[" && (depth === 0 || this.#flags === "v")) depth++;
      else if (character === "]") depth--;
      this.#at++;
    } while (depth > 0);
    return this.#source.slice(from, this.#at);
  }

  #class(notation: string): PatternNode {
    if (notation.includes("\\q")) throw refused(this.#source, "\\q is not supported");
    const members = this.#classes.get(notation) ?? this.#read(notation);
    this.#classes.set(notation, members);
    if (this.#classes.size > MAX_CLASS_COUNT) {
      throw new ProtocolError("too_large", `a regular expression with more than ${MAX_CLASS_COUNT} different classes`);
    }
    return { kind: "class", members };
  }

  #read(notation: string): CharacterClass {
    this.#work.spend("characterClass");
    this.#work.spend("classCharacter", notation.length);
    return readClass(notation, this.#flags);
  }

  #match(sticky: RegExp): RegExpExecArray | undefined {
    sticky.lastIndex = this.#at;
    const match = sticky.exec(this.#source) ?? undefined;
    if (match) this.#at = sticky.lastIndex;
    return match;
  }

  #sees(character: string): boolean {
    return this.#source[this.#at] === character;
  }

  #skip(character: string): boolean {
    if (!this.#sees(character)) return false;
    this.#at++;
    return true;
  }
}
