/** Whose messages come in: those that carry another ident than Mongrel2's send_ident are told of, once for each ident. */

/** So many are told, more than any mistake in a configuration brings about. */
const MOST = 16;

export class IdentCheck {
  readonly #expected: string;
  readonly #tell: (seen: string) => void;
  /** Two that come in turns are not told for ever. */
  readonly #told = new Set<string>();

  constructor(expected: string, tell: (seen: string) => void) {
    this.#expected = expected;
    this.#tell = tell;
  }

  hear(ident: string): void {
    if (ident === this.#expected || this.#told.has(ident) || this.#told.size === MOST) return;
    this.#told.add(ident);
    this.#tell(ident);
  }
}
