/** How many pages of an LMDB file a transaction may need at most, counted before it is tried (storage/lmdb/lmdb-space.ts). */
import type { EventBlock } from "./block.js";

/** Any transaction: its ways through four trees, with what is split on them, and the list of free pages. */
export const BASE_PAGES = 24;
const PAGE_BYTES = 4096;
/** Head of the page that holds a block. */
const PAGE_HEADER_BYTES = 16;
/** Blocks, and ids of publishers, of which an index page has at least so many. */
const MIN_PAGE_ENTRIES = 8;

/** Adding blocks, where the file has pages up to this number. */
export function pagesToAdd(blocks: readonly EventBlock[], lastPage: () => number): number {
  let [pages, ids] = [0, 0];
  for (const { stored, customIds: names } of blocks) {
    pages += Math.ceil((stored.length + PAGE_HEADER_BYTES) / PAGE_BYTES);
    ids += names.length;
  }
  return pages + indexPages(blocks.length, ids, lastPage);
}

/** Changing so many blocks and ids of the index. An id may stand in any page of it, a block stands beside the next one. */
export function indexPages(blocks: number, ids: number, lastPage: () => number): number {
  const scattered = ids <= BASE_PAGES ? ids : Math.min(ids, lastPage());
  return BASE_PAGES + scattered + Math.ceil((blocks + ids) / MIN_PAGE_ENTRIES);
}
