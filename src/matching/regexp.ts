/**
 * The regular expressions in URL patterns, `(...)`: JavaScript's own syntax, read into an automaton. It is checked by
 * JavaScript's parser first (which runs nothing), so what is left to do here is to take valid text apart.
 *
 * All of it is taken but what no automaton can do (backreferences) and what few would use in a URL (lookaround, word
 * boundaries, inline flags): those are refused, never misread. How eager a quantifier is (`+?`) makes no difference to
 * whether a text matches, and is ignored.
 *
 * The parser is never shown a Unicode property: it would build the whole set, which takes 14 ms for `\p{RGI_Emoji}`.
 */
import { ProtocolError } from "../errors.js";
import { type CharacterClass, choice, type PatternNode, repeat, sequence, text } from "./automaton.js";
import { type Flags, readClass } from "./character-class.js";
import type { CompileWork } from "./compile-work.js";
import { isPropertyOfStrings, propertyMembers } from "./unicode-property.js";

/** Groups within groups. */
const MAX_DEPTH = 50;
/** Different classes in one expression. */
const MAX_CLASSES = 64;

/** Set notation is the rule (URL Pattern Standard); what is only valid without it is taken too, as most engines do. */
const FLAGS: readonly Flags[] = ["v", "u"];

/** From here on: one character by another name, a class, or something that is refused. */
const ESCAPE = /\\(?:c[A-Za-z]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]+\}|[pP]\{[^}]*\}|.)/suy;
const PUNCTUATION = /^\\[^A-Za-z0-9]$/;
const GROUP = /\((?:\?:|\?<[^>=!]+>|(?!\?))/y;
const QUANTIFIER = /(?:([*+?])|\{(\d+)(?:(,)(\d+)?)?\})\??/y;
const QUANTITIES: Readonly<Record<string, readonly [number, number]>> = {
  "*": [0, Number.POSITIVE_INFINITY],
  "+": [1, Number.POSITIVE_INFINITY],
  "?": [0, 1],
};

/** Throws "invalid" for what is not a regular expression or is not taken, "too_large" for what is too much. */
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
 * The same expression with something in the place of each Unicode property that is valid where the property is, and costs
 * nothing. What is no property stays: the parser says so.
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
    if (this.#depth > MAX_DEPTH) throw new ProtocolError("too_large", `groups nested deeper than ${MAX_DEPTH}`);
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
    return text(this.#source[this.#at++] ?? "");
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
    if (PUNCTUATION.test(escaped)) return text(escaped.slice(1));
    if (/^\\[bB]/.test(escaped)) throw refused(this.#source, "word boundaries are not supported");
    if (/^\\[1-9k]/.test(escaped)) throw refused(this.#source, "backreferences are not supported");
    return this.#class(escaped);
  }

  /** `[...]`, classes within it included. */
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
    if (this.#classes.size > MAX_CLASSES) {
      throw new ProtocolError("too_large", `a regular expression with more than ${MAX_CLASSES} different classes`);
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
