/** Reads the next page of history for a group that catches up, and matches it in slices of limited work. */

import { type Budget, TRY_UNITS } from "../matching/match-budget.js";
import type { Trial } from "../matching/trial.js";
import type { Publication } from "../protocol/publication.js";
import type { Audience } from "./audience.js";
import type { Client } from "./client.js";
import type { ReadOptions } from "./history.js";
import type { HistoryReader, ReadPage } from "./history-reader.js";

export interface PageReaderOptions {
  readonly history: HistoryReader;
  /** The largest body, bytes. */
  readonly maxBytes: () => number;
  /** Bytes, counted for each receiver, that one flush may spend on clients that catch up. */
  readonly flushBytes: number;
  /** Determines whether an audience gets a publication. */
  readonly trial: (audience: Audience<Client>, publication: Publication) => Trial;
}

export type PublicationTrial = Pick<Trial, "publication" | "run">;

/** Clients that get the same body. */
interface Receivers {
  readonly clients: ReadonlySet<Client>;
}

/** A group that reads. */
interface Reader extends Receivers {
  readonly audience: Audience<Client>;
  readonly cursor: number;
  /** Of the publication after its cursor, begun in an earlier slice. */
  trial: PublicationTrial | undefined;
  /** Absent = PageReaderOptions.trial, for its audience. */
  readonly trialOf?: (publication: Publication) => PublicationTrial;
  /** See ReadOptions. */
  readonly kept?: true | undefined;
}

/** Publications that one read examines at most. */
const MAX_EXAMINED_EVENTS = 10_000;
/** Cost of examining a publication, units of work (about 10 ns). */
const EXAMINE_UNITS = 2;
/** The smallest limit of a body for a large group: smaller bodies cost more frames than they save time. */
const MIN_BODY_BYTES = 4096;

export class PageReader {
  readonly #options: PageReaderOptions;

  constructor(options: PageReaderOptions) {
    this.#options = options;
  }

  /** The next publications of a group, up to the offset `through`. The page ends early when the slice is spent. */
  read(reader: Reader, through: number, slice: Budget): ReadPage | Promise<ReadPage> {
    const { history } = this.#options;
    const leastUnits = EXAMINE_UNITS + (reader.audience.hasPatterns ? TRY_UNITS : 0);
    let end = Number.POSITIVE_INFINITY;
    const match = (publication: Publication): boolean => {
      if (end !== Number.POSITIVE_INFINITY) return false;
      const isWanted = this.#isWanted(reader, publication, slice);
      slice.left -= EXAMINE_UNITS;
      if (isWanted === undefined) end = publication.offset - 1;
      else if (slice.left <= 0) end = publication.offset;
      return isWanted === true;
    };
    const endPage = (page: ReadPage): ReadPage => ({ ...page, through: Math.min(page.through, end) });
    // A retry starts from the beginning.
    const begin = (): ReadOptions => {
      end = Number.POSITIVE_INFINITY;
      const affordable = Math.max(1, Math.ceil(slice.left / leastUnits) + 1); // a retry may come after its slice
      const most = Math.min(MAX_EXAMINED_EVENTS, affordable);
      return { through, most, maxBytes: bodyLimit(reader, this.#options), match, ...(reader.kept && { kept: true }) };
    };
    const page = history.read(reader.cursor, begin);
    return page instanceof Promise ? page.then(endPage) : endPage(page);
  }

  /** Undefined: the slice is spent. The next slice continues with the same publication. */
  #isWanted(reader: Reader, publication: Publication, slice: Budget): boolean | undefined {
    const begun = reader.trial?.publication.offset === publication.offset ? reader.trial : undefined;
    const trial = begun ?? reader.trialOf?.(publication) ?? this.#options.trial(reader.audience, publication);
    const isWanted = trial.run(slice);
    reader.trial = isWanted === undefined ? trial : undefined;
    return isWanted;
  }
}

/**
 * The largest body for some clients now, bytes. A large group gets smaller bodies, more often: a body of 100 kB to 1000 clients would delay
 * live ones for long.
 */
export function bodyLimit(
  { clients }: Receivers,
  { maxBytes, flushBytes }: Pick<PageReaderOptions, "maxBytes" | "flushBytes">,
): number {
  const fairBytes = Math.max(MIN_BODY_BYTES, Math.floor(flushBytes / clients.size));
  let largestCredit = 0;
  for (const { creditAvailable } of clients) largestCredit = Math.max(largestCredit, creditAvailable);
  return Math.min(maxBytes(), fairBytes, largestCredit);
}
