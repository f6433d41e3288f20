/**
 * The cost of compiling the patterns of one request, in units of work of about 10 ns. The count depends on the text alone, not on the clock or on
 * the content of a cache: a request is always accepted or always rejected, on any machine, and an expensive pattern costs the same when it is
 * cached.
 *
 * Without a limit, one anonymous request with 1,500 classes like `[\p{RGI_Emoji}a]` blocked the daemon for 4 to 7 s.
 */
import { ProtocolError } from "../errors.js";

/** Units that the patterns of one request, or of one token, may cost. A hundred patterns like `https://example.com/:a/:b?page=*` cost 450,000. */
export const MAX_COMPILE_UNITS = 1_000_000;

/** Cost of each kind of work, without a cache. */
const UNITS = {
  /** A pattern, whatever its content: at least five parsed parts. */
  pattern: 1_000,
  /** A character: it is tokenized up to three times, and a regular expression is checked twice. */
  character: 6,
  /** Encoding 50 characters of literal text as in a URL. */
  encoding: 400,
  /** An expression of a URI template. */
  templateExpression: 400,
  /** A regular expression: JavaScript's parser checks it twice. */
  expression: 300,
  /** A character class: 128 members. */
  characterClass: 500,
  /** A character of the notation of a class. */
  classCharacter: 30,
  /** A Unicode property: an engine takes 0.02 to 0.5 ms for each new one. */
  property: 2_000,
  /** A property of strings, such as RGI_Emoji, at each use: an engine makes thousands of alternatives of it (2 to 14 ms). */
  stringProperty: 20_000,
  /** An instruction of the automaton. */
  state: 5,
  /** A step of the automaton of a protocol, to determine whether its URLs have hosts. */
  step: 1,
} as const;

type WorkKind = keyof typeof UNITS;

const DESCRIPTIONS: Readonly<Record<WorkKind, string>> = {
  pattern: "the number of patterns",
  character: "the length of the patterns",
  encoding: "literal text between groups",
  templateExpression: "expressions in templates",
  expression: "regular expressions",
  characterClass: "character classes",
  classCharacter: "character classes",
  property: "Unicode properties",
  stringProperty: "Unicode properties of strings",
  state: "alternatives and repetitions",
  step: "alternatives and repetitions",
};

/** The cost of one pattern, and its most expensive kind of work. */
export interface Cost {
  readonly units: number;
  readonly kind: WorkKind;
}

/** The work of one request. */
export class CompileWork {
  readonly #max: number;
  readonly #byKind = new Map<WorkKind, number>();
  #units = 0;
  #saved = 0;

  constructor(max = MAX_COMPILE_UNITS) {
    this.#max = max;
  }

  get units(): number {
    return this.#units;
  }

  /** Units of work really done: a cached pattern is not compiled again. */
  get performed(): number {
    return this.#units - this.#saved;
  }

  /** Throws "too_large" when the limit is exceeded; the message names the most expensive kind of work. */
  spend(kind: WorkKind, times = 1): void {
    this.#add(kind, UNITS[kind] * times);
  }

  /** Counts a cached pattern with its original cost. */
  repeat({ units, kind }: Cost): void {
    this.#saved += units;
    this.#add(kind, units);
  }

  /** Returns the result of `run` and its cost. */
  measure<T>(run: () => T): { readonly value: T; readonly cost: Cost } {
    const before = new Map(this.#byKind);
    const units = this.#units;
    const value = run();
    const added = [...this.#byKind].map(([kind, total]) => [kind, total - (before.get(kind) ?? 0)] as const);
    return { value, cost: { units: this.#units - units, kind: mostExpensive(added) } };
  }

  #add(kind: WorkKind, units: number): void {
    this.#units += Math.ceil(units);
    this.#byKind.set(kind, (this.#byKind.get(kind) ?? 0) + units);
    if (this.#units > this.#max) throw this.#tooExpensive();
  }

  #tooExpensive(): ProtocolError {
    const most = `at most ${this.#max} units of work are done for one request`;
    const text = `patterns too expensive to compile: ${most}, and ${DESCRIPTIONS[mostExpensive([...this.#byKind])]} cost the most`;
    return new ProtocolError("too_large", `${text}; fix: ask for fewer or simpler patterns`);
  }
}

const mostExpensive = (costs: readonly (readonly [WorkKind, number])[]): WorkKind =>
  costs.reduce((most, one) => (one[1] > most[1] ? one : most), ["pattern", 0])[0];

/** For patterns that were taken before: of a client that is served on, or of a selector that is in use. */
export const unlimitedWork = (): CompileWork => new CompileWork(Number.POSITIVE_INFINITY);
