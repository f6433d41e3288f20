/** One part of a URL pattern, read into an automaton (URL Pattern Standard, "Parsing pattern strings"). */
import { ProtocolError } from "../errors.js";
import { classOf, type PatternNode, repeat, sequence, textNode } from "./automaton.js";
import type { CompileWork } from "./compile-work.js";
import { type Token, type TokenKind, tokenize } from "./pattern-tokens.js";
import { parseRegExp } from "./regexp.js";

export interface PartRules {
  /** A name matches one or more characters other than this one; "" = any characters. */
  readonly delimiter: string;
  /** A character that, before a name, is repeated or omitted together with it; "" = none. */
  readonly prefix: string;
  /** Encodes literal text as in a URL; throws "invalid" for text that no URL contains. */
  readonly encode: (text: string) => string;
}

const ANYTHING: PatternNode = {
  kind: "repeat",
  node: { kind: "class", members: classOf(() => true, true) },
  min: 0,
  max: Number.POSITIVE_INFINITY,
};
const SEGMENTS = new Map(
  ["", ".", "/"].map((delimiter): [string, PatternNode] => {
    const members = classOf((character) => character !== delimiter, true);
    return [delimiter, repeat({ kind: "class", members }, 1, Number.POSITIVE_INFINITY)];
  }),
);
const MODIFIERS: Readonly<Record<string, readonly [number, number]>> = {
  "": [1, 1],
  "?": [0, 1],
  "*": [0, Number.POSITIVE_INFINITY],
  "+": [1, Number.POSITIVE_INFINITY],
};

/** Throws "invalid" for text that is no pattern, "too_large" for a pattern that is too complex. */
export function parsePart(pattern: string, rules: PartRules, work: CompileWork): PatternNode {
  return pattern === "*" ? ANYTHING : new PartReader(pattern, rules, work).read();
}

/** Whether the node matches every text. */
export function isAnything(node: PatternNode): boolean {
  return node === ANYTHING || (node.kind === "sequence" && node.nodes.length === 1 && node.nodes[0] === ANYTHING);
}

class PartReader {
  readonly #tokens: readonly Token[];
  readonly #rules: PartRules;
  readonly #work: CompileWork;
  readonly #names = new Set<string>();
  readonly #nodes: PatternNode[] = [];
  #literal = "";
  #at = 0;

  constructor(pattern: string, rules: PartRules, work: CompileWork) {
    this.#tokens = tokenize(pattern, true);
    this.#rules = rules;
    this.#work = work;
  }

  read(): PatternNode {
    while (this.#take("end") === undefined) this.#piece();
    this.#flush();
    return sequence(...this.#nodes);
  }

  #piece(): void {
    const char = this.#take("char");
    const body = this.#body();
    if (body) {
      const isPrefix = char !== undefined && char === this.#rules.prefix;
      if (!isPrefix) this.#literal += char ?? "";
      this.#add(isPrefix ? char : "", body, "");
      return;
    }
    const literal = char ?? this.#take("escaped");
    if (literal !== undefined) this.#literal += literal;
    else this.#group();
  }

  /** `{...}`: text, with or without a name or an expression in it. */
  #group(): void {
    this.#must("open");
    const prefix = this.#text();
    const body = this.#body();
    const suffix = this.#text();
    this.#must("close");
    this.#add(prefix, body, suffix);
  }

  /** A name, a regular expression, both (the name has no effect then), or `*`. */
  #body(): PatternNode | undefined {
    const name = this.#take("name");
    const expression = this.#take("regexp");
    if (name !== undefined) this.#name(name);
    if (expression === ".*") return ANYTHING;
    if (expression !== undefined) return parseRegExp(expression, this.#work);
    if (name !== undefined) return SEGMENTS.get(this.#rules.delimiter);
    return this.#take("asterisk") === undefined ? undefined : ANYTHING;
  }

  #name(name: string): void {
    if (this.#names.has(name)) throw wrong(`the name ":${name}" is used twice`);
    this.#names.add(name);
  }

  #add(prefix: string, body: PatternNode | undefined, suffix: string): void {
    const modifier = this.#take("modifier") ?? this.#take("asterisk") ?? "";
    const [min, max] = MODIFIERS[modifier] ?? [1, 1];
    if (!body && modifier === "") {
      this.#literal += prefix;
      return;
    }
    this.#flush();
    const whole = sequence(this.#encoded(prefix), body ?? textNode(""), this.#encoded(suffix));
    this.#nodes.push(body === ANYTHING && prefix + suffix === "" ? ANYTHING : repeat(whole, min, max));
  }

  /** Consecutive literal text is encoded as a whole, not character by character: `/a/../b` is `/b`. */
  #flush(): void {
    if (this.#literal !== "") this.#nodes.push(this.#encoded(this.#literal));
    this.#literal = "";
  }

  #encoded(literal: string): PatternNode {
    if (literal === "") return textNode("");
    this.#work.spend("encoding", 1 + literal.length / 50);
    return textNode(this.#rules.encode(literal));
  }

  #text(): string {
    let collected = "";
    for (;;) {
      const character = this.#take("char") ?? this.#take("escaped");
      if (character === undefined) return collected;
      collected += character;
    }
  }

  #take(kind: TokenKind): string | undefined {
    const token = this.#tokens[this.#at];
    if (token?.kind !== kind) return undefined;
    this.#at++;
    return token.value;
  }

  #must(kind: TokenKind): void {
    if (this.#take(kind) !== undefined) return;
    const { value, index } = this.#tokens[this.#at] as Token;
    throw wrong(value === "" ? `"{" is not closed` : `"${value}" at ${index} is out of place`);
  }
}

function wrong(what: string): ProtocolError {
  return new ProtocolError("invalid", what);
}
