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
  /** An error, except in a text that is not split into the parts of a URL yet. */
  | "invalid"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  /** Its index in the text. */
  readonly index: number;
  /** Its content: of a name, an escape or a regular expression without the characters around it. */
  readonly value: string;
}

const SINGLE: Readonly<Record<string, TokenKind>> = {
  "*": "asterisk",
  "+": "modifier",
  "?": "modifier",
  "{": "open",
  "}": "close",
};
/** Without the two joiners that the standard permits: they are invisible, and rejected in patterns and topics. */
const NAME = /:([$_\p{ID_Start}][$_\p{ID_Continue}]*)/uy;

/** `strict`: throws "invalid" for text that is no token; otherwise its first character becomes an "invalid" token. */
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

/** The index of the closing parenthesis; undefined when it is missing, or the expression is empty or has capturing groups. */
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
