/** The tokens of a URL pattern (URL Pattern Standard, "Tokenizing"). */
import { ProtocolError } from "../errors.js";

export type TokenKind =
  | "open"
  | "close"
  | "regexp"
  | "name"
  | "char"
  | "escaped"
  | "modifier"
  | "asterisk"
  /** What would be an error, in a text that has yet to be cut into the parts of a URL. */
  | "invalid"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  /** Where it begins in the text. */
  readonly index: number;
  /** What it means: of a name, an escape or a regular expression only what is inside. */
  readonly value: string;
}

const SINGLE: Readonly<Record<string, TokenKind>> = {
  "*": "asterisk",
  "+": "modifier",
  "?": "modifier",
  "{": "open",
  "}": "close",
};
/** Without the two joiners that the standard allows: they are invisible, and refused in patterns and topics. */
const NAME = /:([$_\p{ID_Start}][$_\p{ID_Continue}]*)/uy;

/** Strict: throws "invalid" at what is no token; else takes its first character for an "invalid" one. */
export function tokenize(text: string, strict: boolean): Token[] {
  const tokens: Token[] = [];
  let index = 0;
  while (index < text.length) {
    const { token, length } = next(text, index);
    if (strict && token.kind === "invalid") throw misplaced(token);
    tokens.push(token);
    index += length;
  }
  tokens.push({ kind: "end", index, value: "" });
  return tokens;
}

function misplaced({ value, index }: Token): ProtocolError {
  return new ProtocolError("invalid", `"${value}" at ${index} begins nothing: write "\\${value}" for itself`);
}

function next(text: string, index: number): { readonly token: Token; readonly length: number } {
  const value = String.fromCodePoint(text.codePointAt(index) ?? 0);
  const taken = (kind: TokenKind, inner: string, length: number) => ({ token: { kind, index, value: inner }, length });
  const single = SINGLE[value];
  if (single) return taken(single, value, 1);
  if (value === "\\") {
    const escaped = text.codePointAt(index + 1);
    if (escaped === undefined) return taken("invalid", value, 1);
    const character = String.fromCodePoint(escaped);
    return taken("escaped", character, 1 + character.length);
  }
  if (value === ":") {
    NAME.lastIndex = index;
    const name = NAME.exec(text)?.[1];
    return name === undefined ? taken("invalid", value, 1) : taken("name", name, 1 + name.length);
  }
  if (value === "(") {
    const end = endOfRegExp(text, index + 1);
    return end === undefined
      ? taken("invalid", value, 1)
      : taken("regexp", text.slice(index + 1, end), end + 1 - index);
  }
  return taken("char", value, value.length);
}

/** Where the closing parenthesis is; undefined when there is none, or what is inside may not be: empty, groups that capture. */
function endOfRegExp(text: string, from: number): number | undefined {
  if (text[from] === "?" || text[from] === ")") return undefined;
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    const character = text[at] ?? "";
    if (character > "\x7f") return undefined;
    if (character === "\\") {
      at++;
      if (at >= text.length || (text[at] ?? "") > "\x7f") return undefined;
    } else if (character === ")") {
      depth--;
      if (depth === 0) return at;
    } else if (character === "(") {
      depth++;
      if (text[at + 1] !== "?") return undefined;
    }
  }
  return undefined;
}
