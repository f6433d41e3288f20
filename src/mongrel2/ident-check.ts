/** Reports messages whose ident is not the configured send_ident, once for each ident. */

/** Idents to report: more than any wrong configuration has. */
const MAX_REPORTED_COUNT = 16;

export class IdentCheck {
  readonly #expected: string;
  readonly #report: (ident: string) => void;
  /** All of them, so that two alternating idents are reported twice and not for ever. */
  readonly #reported = new Set<string>();

  constructor(expected: string, report: (ident: string) => void) {
    this.#expected = expected;
    this.#report = report;
  }

  check(ident: string): void {
    if (ident === this.#expected || this.#reported.has(ident) || this.#reported.size === MAX_REPORTED_COUNT) return;
    this.#reported.add(ident);
    this.#report(ident);
  }
}
