/** Reads the publications that added topics had before a change (AddedReplay), in slices of limited work. */
import type { Budget } from "../matching/match-budget.js";
import { compile, selectorOf } from "../matching/selector.js";
import { type Tests, Trial, testsOf } from "../matching/trial.js";
import type { Publication } from "../protocol/publication.js";
import { memoizeLast } from "../util/memoize-last.js";
import type { Audience } from "./audience.js";
import type { CatchupGroup } from "./catchup-groups.js";
import type { Client } from "./client.js";
import type { ReadPage } from "./history-reader.js";
import { PageReader, type PageReaderOptions, type PublicationTrial } from "./page-reader.js";
import type { SelectionReaderOptions } from "./selection-reader.js";
import { type SelectionSearch, searchResumed } from "./selection-search.js";
import type { AddedReplay } from "./stream-control.js";

interface AddedReaderOptions extends PageReaderOptions, Pick<SelectionReaderOptions, "search"> {
  /** The hub's URL. */
  readonly base: string;
}

/** What is known of a replay while it is read. */
interface Reading {
  readonly search: SelectionSearch | undefined;
  readonly tests: Tests;
}

const NO_TESTS: Tests = testsOf([], () => () => false);

export class AddedReader {
  readonly #options: AddedReaderOptions;
  readonly #pages: PageReader;
  /** By the list of selectors, which is the same object from page to page. */
  readonly #readings = new WeakMap<AddedReplay["selectors"], Reading>();

  constructor(options: AddedReaderOptions) {
    this.#options = options;
    this.#pages = new PageReader(options);
  }

  /**
   * The next publications of a replay, up to the cursor of its group, where the page ends once all are read. Undefined: the slice is spent, or
   * what it waits for is there now; the caller calls again.
   */
  read(group: CatchupGroup, added: AddedReplay, slice: Budget): ReadPage | Promise<ReadPage | undefined> | undefined {
    const reading = this.#readingOf(group, added);
    const trialOf = (publication: Publication) => this.#trial(group, added, reading.tests, publication);
    if (!reading.search)
      return this.#pages.read(new AddedGroup(group, added.after, added, trialOf), group.cursor, slice);
    const selection = reading.search.run(slice);
    if (selection === undefined) return undefined;
    if (selection instanceof Promise) return searchResumed(selection, group.cursor);
    const next = selection.offsets.find((offset) => offset > added.after);
    if (next !== undefined) return this.#pages.read(new AddedGroup(group, next - 1, added, trialOf), next, slice);
    return { publications: [], through: group.cursor, ...(selection.isCut && { gap: "latest" }) };
  }

  #readingOf({ audience, cursor }: CatchupGroup, added: AddedReplay): Reading {
    const known = this.#readings.get(added.selectors);
    if (known) return known;
    const { base, search } = this.#options;
    const { request } = added;
    const selectors = added.selectors.map(selectorOf);
    const reading = {
      search: request && search(audience, { request, join: cursor }, selectors),
      tests: testsOf(selectors, (selector) => compile(selector, base)),
    };
    this.#readings.set(added.selectors, reading);
    return reading;
  }

  #trial(
    { audience }: CatchupGroup,
    { former }: AddedReplay,
    tests: Tests,
    publication: Publication,
  ): PublicationTrial {
    const { base, trial } = this.#options;
    const asPublic = publication.private ? { ...publication, private: false } : publication;
    const counting = former.filter(([, since]) => publication.offset > since).map(([text]) => text);
    const formerTests = counting.length > 0 ? testsOfTexts(counting.join("\n"), base) : NO_TESTS;
    return new AddedTrial(publication, [
      { trial: new Trial(asPublic, tests, NO_TESTS), expected: true },
      { trial: new Trial(asPublic, formerTests, NO_TESTS), expected: false },
      { trial: trial(audience, publication), expected: true },
    ]);
  }
}

/** A group as it reads a replay: at another cursor, with other trials. */
class AddedGroup {
  readonly cursor: number;
  readonly trialOf: (publication: Publication) => PublicationTrial;
  /** A selection may have publications that are kept below the floor. */
  readonly kept: true | undefined;
  readonly #group: CatchupGroup;

  constructor(
    group: CatchupGroup,
    cursor: number,
    added: AddedReplay,
    trialOf: (publication: Publication) => PublicationTrial,
  ) {
    this.#group = group;
    this.cursor = cursor;
    this.trialOf = trialOf;
    this.kept = added.request && true;
  }

  get audience(): Audience<Client> {
    return this.#group.audience;
  }

  get clients(): ReadonlySet<Client> {
    return this.#group.clients;
  }

  get trial(): PublicationTrial | undefined {
    return this.#group.trial;
  }

  set trial(trial: PublicationTrial | undefined) {
    this.#group.trial = trial;
  }
}

/** Consecutive publications are mostly tried with the same selectors. No text has a line feed. */
const lastTests = memoizeLast((texts: string) =>
  memoizeLast((base: string) => testsOf(texts.split("\n").map(selectorOf), (selector) => compile(selector, base))),
);
const testsOfTexts = (texts: string, base: string): Tests => lastTests(texts)(base);

/** Several trials that must all have their expected result. */
class AddedTrial implements PublicationTrial {
  readonly publication: Publication;
  readonly #steps: { readonly trial: PublicationTrial; readonly expected: boolean }[];

  constructor(publication: Publication, steps: { readonly trial: PublicationTrial; readonly expected: boolean }[]) {
    this.publication = publication;
    this.#steps = steps;
  }

  run(budget: Budget): boolean | undefined {
    for (let step = this.#steps[0]; step; step = this.#steps[0]) {
      const result = step.trial.run(budget);
      if (result === undefined) return undefined;
      if (result !== step.expected) return false;
      this.#steps.shift();
    }
    return true;
  }
}
