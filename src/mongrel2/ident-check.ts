/** Whose messages come in: those that carry another ident than Mongrel2's send_ident are told of, once for each ident. */

/** So many are told, more than any mistake in a configuration brings about. */
const MAX_REPORTED_COUNT = 16;

export class IdentCheck {
  readonly #expected: string;
  readonly #report: (seen: string) => void;
  /** Two that come in turns are not told for ever. */
  readonly #reported = new Set<string>();

  constructor(expected: string, tell: (seen: string) => void) {
    this.#expected = expected;
    this.#report = tell;
  }

  check(ident: string): void {
    if (ident === this.#expected || this.#reported.has(ident) || this.#reported.size === MAX_REPORTED_COUNT) return;
    this.#reported.add(ident);
    this.#report(ident);
  }
}
