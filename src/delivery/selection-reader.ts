/** Reads the next events of a selection for the clients that are being sent it, in slices of limited work. */
import type { Budget } from "../matching/match-budget.js";
import type { Selector } from "../matching/selector.js";
import type { Publication } from "../protocol/publication.js";
import { firstIndex } from "../util/first-index.js";
import type { Audience } from "./audience.js";
import type { Client } from "./client.js";
import type { HistoryReader, ReadPage } from "./history-reader.js";
import { bodyLimit, type PageReaderOptions } from "./page-reader.js";
import type { Selecting } from "./selecting.js";
import { READ_UNITS, type Selection, type SelectionSearch, searchResumed } from "./selection-search.js";

export interface SelectionReaderOptions extends Pick<PageReaderOptions, "history" | "maxBytes" | "flushBytes"> {
  /** `selectors`: search for these instead of those of the audience. */
  readonly search: (
    audience: Audience<Client>,
    selection: Pick<Selecting, "request" | "join">,
    selectors?: readonly Selector[],
  ) => SelectionSearch;
}

/** Clients that get the same events of a selection. */
interface Reader {
  readonly audience: Audience<Client>;
  readonly clients: ReadonlySet<Client>;
  /** Selected events up to this offset were sent to them. */
  readonly cursor: number;
}

export class SelectionReader {
  readonly #options: SelectionReaderOptions;

  constructor(options: SelectionReaderOptions) {
    this.#options = options;
  }

  /**
   * The next events of a reader. The page covers its selection up to `through`, which is `selecting.join` once all of it is read. Undefined:
   * the slice is spent, or what it waits for is there now; the caller calls again. `isWhole`: undefined also where the slice does not suffice to
   * read all of the selection.
   */
  read(
    reader: Reader,
    selecting: Selecting,
    slice: Budget,
    isWhole = false,
  ): ReadPage | Promise<ReadPage | undefined> | undefined {
    selecting.search ??= this.#options.search(reader.audience, selecting);
    const selection = selecting.search.run(slice);
    if (selection === undefined) return undefined;
    if (selection instanceof Promise) return searchResumed(selection, selecting.join);
    if (selection.isCut) selecting.gap ??= "latest";
    if (isWhole && selection.offsets.length * READ_UNITS > slice.left) return undefined;
    return this.#readSelected(reader, selecting, selection, slice);
  }

  #readSelected(
    reader: Reader,
    { join }: Selecting,
    { offsets }: Selection,
    slice: Budget,
  ): ReadPage | Promise<ReadPage> {
    const { history } = this.#options;
    const maxBytes = bodyLimit(reader, this.#options);
    const publications: ReadPage["publications"][number][] = [];
    let [bytes, through] = [0, reader.cursor];
    for (let at = firstAbove(offsets, through); at < offsets.length; at = firstAbove(offsets, through)) {
      if (slice.left <= 0) return { publications, through };
      const most = Math.max(1, Math.floor(slice.left / READ_UNITS));
      const page = readOnly(history, offsets.slice(at, at + most), Math.max(1, maxBytes - bytes));
      slice.left -= READ_UNITS * (page instanceof Promise ? 1 : Math.max(1, page.publications.length));
      const isFirst = publications.length === 0;
      if (page instanceof Promise)
        return isFirst ? page.then((read) => whole(read, offsets, at, join)) : { publications, through };
      if (page.isBroken || page.isUnavailable)
        return isFirst ? whole(page, offsets, at, join) : { publications, through };
      const size = page.publications.reduce((sum, it) => sum + it.bytes.length, 0);
      if (!isFirst && bytes + size > maxBytes) return { publications, through };
      publications.push(...page.publications);
      bytes += size;
      through = whole(page, offsets, at, join).through;
    }
    return { publications, through: join };
  }
}

/**
 * The page of the event at an index covers at least this event, which is trimmed where the page ends before it, and all of the selection if
 * nothing of it is left.
 */
function whole(page: ReadPage, offsets: readonly number[], at: number, join: number): ReadPage {
  const through = Math.max(page.through, offsets[at] as number);
  return { ...page, through: firstAbove(offsets, through) < offsets.length ? through : join };
}

/** Reads the events with these offsets, as many as fit. */
function readOnly(history: HistoryReader, only: readonly number[], maxBytes: number): ReadPage | Promise<ReadPage> {
  const wanted = new Set(only);
  const through = only.at(-1) as number;
  const match = ({ offset }: Publication) => wanted.has(offset);
  return history.read((only[0] as number) - 1, () => ({ through, maxBytes, kept: true, only, match }));
}

/** Index of the first offset above another one. */
function firstAbove(offsets: readonly number[], offset: number): number {
  return firstIndex(0, offsets.length, (at) => (offsets[at] as number) <= offset);
}
