/**
 * Splits a URL pattern into the parts of a URL (URL Pattern Standard, "Constructor string parsing"). Parts after the last one that the pattern
 * names are undefined and match anything; unnamed parts before it are empty.
 */
import { type Token, tokenize } from "./pattern-tokens.js";

export type PartName = "protocol" | "username" | "password" | "hostname" | "port" | "pathname" | "search" | "hash";
export type Parts = Partial<Record<PartName, string>>;

/** The part that is being read. "authority": a user name or a host, which is not known yet. */
type State = PartName | "init" | "authority" | "done";

const ORDER: readonly State[] = [
  "init",
  "protocol",
  "authority",
  "username",
  "password",
  "hostname",
  "port",
  "pathname",
  "search",
  "hash",
  "done",
];

/** `isSpecial`: whether the pattern of a protocol matches a special one (http and others), whose URLs have hosts. */
export function splitPattern(pattern: string, isSpecial: (protocol: string) => boolean): Parts {
  return new Splitter(pattern, isSpecial).split();
}

class Splitter {
  readonly #pattern: string;
  readonly #tokens: readonly Token[];
  readonly #isSpecial: (protocol: string) => boolean;
  readonly #parts: Parts = {};
  #state: State = "init";
  #at = 0;
  /** The first token of the part. */
  #start = 0;
  /** Open `{` and, in a host, open `[`. */
  #groups = 0;
  #brackets = 0;
  #special = false;

  constructor(pattern: string, isSpecial: (protocol: string) => boolean) {
    this.#pattern = pattern;
    this.#tokens = tokenize(pattern, false);
    this.#isSpecial = isSpecial;
  }

  split(): Parts {
    while (this.#state !== "done") {
      const token = this.#token(this.#at);
      if (token.kind === "end") this.#end();
      else if (token.kind === "open") this.#skip(1);
      else if (this.#groups > 0 && token.kind !== "close") this.#at++;
      else this.#step(token);
    }
    if (this.#parts.hostname !== undefined) this.#parts.port ??= "";
    return this.#parts;
  }

  #skip(groups: number): void {
    this.#groups += groups;
    this.#at++;
  }

  #end(): void {
    if (this.#state === "init") this.#relative();
    else if (this.#state === "authority") this.#rewind("hostname");
    else this.#change("done", 0);
  }

  /** There is no protocol: the pattern begins with a path, a query or a fragment. */
  #relative(): void {
    this.#at = this.#start;
    if (this.#isChar(0, "#")) this.#change("hash", 1);
    else if (this.#isSearch()) this.#change("search", 1);
    else this.#change("pathname", 0);
  }

  #step(token: Token): void {
    if (token.kind === "close" && this.#groups > 0) this.#groups--;
    if (!this.#moves()) this.#at++;
  }

  /** Whether a part ends here. */
  #moves(): boolean {
    switch (this.#state) {
      case "init":
        return this.#isChar(0, ":") && this.#rewind("protocol");
      case "protocol":
        return this.#isChar(0, ":") && this.#protocol();
      case "authority":
        if (this.#isChar(0, "@")) return this.#rewind("username");
        return (this.#isChar(0, "/") || this.#isSearch() || this.#isChar(0, "#")) && this.#rewind("hostname");
      case "username":
        return (this.#isChar(0, ":") && this.#change("password", 1)) || this.#userEnds();
      case "password":
        return this.#userEnds();
      case "hostname":
        this.#bracket();
        return (this.#isChar(0, ":") && this.#brackets === 0 && this.#change("port", 1)) || this.#pathBegins();
      case "port":
        return this.#pathBegins();
      case "pathname":
        return this.#searchBegins();
      case "search":
        return this.#hashBegins();
      case "hash":
      case "done":
        return false;
    }
  }

  #protocol(): boolean {
    this.#special = this.#isSpecial(this.#text());
    if (this.#isChar(1, "/") && this.#isChar(2, "/")) return this.#change("authority", 3);
    return this.#change(this.#special ? "authority" : "pathname", 1);
  }

  #userEnds(): boolean {
    return this.#isChar(0, "@") && this.#change("hostname", 1);
  }

  #pathBegins(): boolean {
    return (this.#isChar(0, "/") && this.#change("pathname", 0)) || this.#searchBegins();
  }

  #searchBegins(): boolean {
    return (this.#isSearch() && this.#change("search", 1)) || this.#hashBegins();
  }

  #hashBegins(): boolean {
    return this.#isChar(0, "#") && this.#change("hash", 1);
  }

  /** Colons in brackets belong to an IPv6 address. */
  #bracket(): void {
    if (this.#isChar(0, "[")) this.#brackets++;
    else if (this.#isChar(0, "]")) this.#brackets--;
  }

  /** Reads the part again, now that its kind is known. */
  #rewind(state: State): true {
    this.#at = this.#start;
    this.#state = state;
    return true;
  }

  /** Stores the part that ends here, and continues with another one after `skip` tokens. */
  #change(state: State, skip: number): true {
    const ended = this.#state;
    if (ended !== "init" && ended !== "authority" && ended !== "done") this.#parts[ended] = this.#text();
    if (ended !== "init" && state !== "done") this.#passOver(ended, state);
    this.#state = state;
    this.#at += skip;
    this.#start = this.#at;
    return true;
  }

  #passOver(ended: State, state: State): void {
    const between = (part: State) =>
      ORDER.indexOf(ended) < ORDER.indexOf(part) && ORDER.indexOf(part) < ORDER.indexOf(state);
    if (between("hostname")) this.#parts.hostname ??= "";
    if (between("pathname")) this.#parts.pathname ??= this.#special ? "/" : "";
    if (between("search")) this.#parts.search ??= "";
  }

  #text(): string {
    return this.#pattern.slice(this.#token(this.#start).index, this.#token(this.#at).index);
  }

  #isChar(ahead: number, value: string): boolean {
    const token = this.#token(this.#at + ahead);
    return token.value === value && (token.kind === "char" || token.kind === "escaped" || token.kind === "invalid");
  }

  /** A question mark begins a query, unless it makes the token before it optional. */
  #isSearch(): boolean {
    if (this.#isChar(0, "?")) return true;
    if (this.#token(this.#at).value !== "?") return false;
    const before = this.#at === 0 ? undefined : this.#token(this.#at - 1).kind;
    return before !== "name" && before !== "regexp" && before !== "close" && before !== "asterisk";
  }

  #token(index: number): Token {
    return this.#tokens[Math.min(index, this.#tokens.length - 1)] as Token;
  }
}
