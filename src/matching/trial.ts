/**
 * Determines in slices whether an interest gets a publication: 100 patterns on 1,000 topics can take a minute, which must not delay other clients.
 * A slice makes at least one try, and ends when its budget is spent.
 */
import type { Publication } from "../protocol/publication.js";
import type { Interest } from "./interest.js";
import { type Budget, tryWithin } from "./match-budget.js";
import { compile, type Selector } from "./selector.js";

export type Test = (topic: string) => boolean;

/** Selectors in the form in which they are tried. */
export interface Tests {
  readonly any: boolean;
  readonly exact: ReadonlySet<string>;
  readonly patterns: readonly Test[];
}

/** `testOf` returns the test of a pattern: compile() or something faster. */
export function testsOf(selectors: readonly Selector[], testOf: (selector: Selector) => Test): Tests {
  return {
    any: selectors.some(({ kind }) => kind === "any"),
    exact: new Set(selectors.flatMap((it) => (it.kind === "exact" ? [it.value] : []))),
    patterns: selectors.filter(isPattern).map(testOf),
  };
}

export const isPattern = ({ kind }: Selector): boolean => kind === "template" || kind === "urlpattern";

/** Whether one of the topics is selected; undefined = the budget was spent before that was known. */
class Search {
  readonly #tests: Tests;
  readonly #topics: readonly string[];
  #topic = 0;
  #pattern = 0;

  constructor(tests: Tests, topics: readonly string[]) {
    this.#tests = tests;
    this.#topics = topics;
  }

  run(budget: Budget): boolean | undefined {
    const { any, exact, patterns } = this.#tests;
    if (any || (exact.size > 0 && this.#topics.some((topic) => exact.has(topic)))) return true;
    for (; this.#topic < this.#topics.length; this.#topic++) {
      const topic = this.#topics[this.#topic] as string;
      for (; this.#pattern < patterns.length; this.#pattern++) {
        if (budget.left <= 0) return undefined;
        if (tryWithin(budget, patterns[this.#pattern] as Test, topic)) return true;
      }
      this.#pattern = 0;
    }
    return false;
  }
}

/** The trial of one publication for clients with one interest. */
export class Trial {
  readonly publication: Publication;
  readonly #selectors: Search;
  readonly #grants: Search;
  #isSelected = false;

  constructor(publication: Publication, selectors: Tests, grants: Tests) {
    this.publication = publication;
    this.#selectors = new Search(selectors, publication.topics);
    this.#grants = new Search(grants, publication.topics);
  }

  /** Continues until the budget is spent (undefined). With a budget above 0 it makes at least one try. */
  run(budget: Budget): boolean | undefined {
    if (!this.#isSelected) {
      const isSelected = this.#selectors.run(budget);
      if (isSelected !== true) return isSelected;
      this.#isSelected = true;
    }
    return this.publication.private ? this.#grants.run(budget) : true;
  }
}

const NO_TESTS: Tests = testsOf([], (selector) => () => selector.kind === "any");

/** The trial of a publication that the clients get in no case. */
export const refusedTrial = (publication: Publication): Trial => new Trial(publication, NO_TESTS, NO_TESTS);

/** Whether a publication that is selected may be seen; undefined = the budget was spent before that was known. */
export function maySee(
  interest: Interest,
  publication: Publication,
  base: string,
  budget: Budget,
): boolean | undefined {
  if (!publication.private) return true;
  if (interest.grants.length === 0) return false;
  const tests = testsOf(interest.grants, (selector) => compile(selector, base));
  return new Search(tests, publication.topics).run(budget);
}
