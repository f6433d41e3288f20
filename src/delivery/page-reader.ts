/** What a group that is behind reads next: a page of history, looked through in slices. */

import { type Budget, TRY_UNITS } from "../matching/match-budget.js";
import type { Trial } from "../matching/trial.js";
import type { Publication } from "../protocol/publication.js";
import type { Audience } from "./audience.js";
import type { Client } from "./client.js";
import type { HistoryReader, ReadPage } from "./history-reader.js";
import type { ReadOptions } from "./ports.js";

export interface PageReaderOptions {
  readonly history: HistoryReader;
  /** The largest body, bytes. */
  readonly maxBytes: () => number;
  /** How many bytes, counted for each receiver, one flush may spend on clients that are behind. */
  readonly flushBytes: number;
  /** Finds out whether an audience gets a publication. */
  readonly trial: (audience: Audience, publication: Publication) => Trial;
}

/** Who reads. */
export interface Reader {
  readonly audience: Audience;
  readonly cursor: number;
  readonly clients: ReadonlySet<Client>;
  /** Of the publication after its cursor, begun in an earlier slice. */
  trial: Trial | undefined;
}

/** Publications that one read looks at. */
const MAX_LOOKED_AT = 10_000;
/** To look at a publication, units of work (about 10 ns). */
const LOOK_UNITS = 2;

export class PageReader {
  readonly #options: PageReaderOptions;

  constructor(options: PageReaderOptions) {
    this.#options = options;
  }

  /** What a group gets next, up to `through`; the page ends early when the slice is spent. */
  read(reader: Reader, through: number, slice: Budget): ReadPage | Promise<ReadPage> {
    const { history, maxBytes, flushBytes } = this.#options;
    // A crowd at one place gets smaller bodies, more often: a body of 100 kB to 1000 clients would hold up live ones for long.
    const fair = Math.max(4096, Math.floor(flushBytes / reader.clients.size));
    const least = LOOK_UNITS + (reader.audience.hasPatterns ? TRY_UNITS : 0);
    let end = Number.POSITIVE_INFINITY;
    const match = (publication: Publication): boolean => {
      if (end !== Number.POSITIVE_INFINITY) return false;
      const isWanted = this.#isWanted(reader, publication, slice);
      slice.left -= LOOK_UNITS;
      if (isWanted === undefined) end = publication.offset - 1;
      else if (slice.left <= 0) end = publication.offset;
      return isWanted === true;
    };
    const cut = (page: ReadPage): ReadPage => ({ ...page, through: Math.min(page.through, end) });
    // A read that fails is tried again, from its beginning.
    const begin = (): ReadOptions => {
      end = Number.POSITIVE_INFINITY;
      const most = Math.min(MAX_LOOKED_AT, Math.max(1, Math.ceil(slice.left / least) + 1)); // a retry may come after its slice
      return { through, most, maxBytes: Math.min(maxBytes(), fair, mostCredit(reader)), match };
    };
    const page = history.read(reader.cursor, begin);
    return page instanceof Promise ? page.then(cut) : cut(page);
  }

  /** Undefined: there was no time to find out. The next slice goes on with the same publication. */
  #isWanted(reader: Reader, publication: Publication, slice: Budget): boolean | undefined {
    const begun = reader.trial?.publication.offset === publication.offset ? reader.trial : undefined;
    const trial = begun ?? this.#options.trial(reader.audience, publication);
    const isWanted = trial.run(slice);
    reader.trial = isWanted === undefined ? trial : undefined;
    return isWanted;
  }
}

/** The most that any client of a group may be sent now. */
function mostCredit({ clients }: Reader): number {
  let most = 0;
  for (const { creditAvailable: credit } of clients) most = Math.max(most, credit);
  return most;
}
