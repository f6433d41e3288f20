/** Upper bounds of the pages that a transaction writes, which are allocated before it begins (storage/lmdb/lmdb-space.ts). */
import type { EventBlock } from "./block.js";
import type { KeptChange } from "./kept-log.js";

/** Of any transaction: paths through four trees with splits, and the list of free pages. */
export const BASE_PAGES = 24;
/** Paths through the two trees of the keys, with splits. */
const KEY_TREES_PAGES = 16;
const PAGE_BYTES = 4096;
/** Header of a page that holds a block. */
const PAGE_HEADER_BYTES = 16;
/** Entries (blocks or custom ids) that an index page holds at least. */
const MIN_PAGE_ENTRIES = 8;

/** For adding blocks to a file with pages up to this number. */
export function pagesToAdd(blocks: readonly EventBlock[], lastPage: () => number): number {
  let [pages, ids] = [0, 0];
  for (const { stored, customIds: names } of blocks) {
    pages += Math.ceil((stored.length + PAGE_HEADER_BYTES) / PAGE_BYTES);
    ids += names.length;
  }
  return pages + indexPages(blocks.length, ids, lastPage);
}

/** For changing the log of kept events: consecutive blocks, which share pages of the index. */
export function keptPages(
  { added, removedKeys, addedIds, freedIds }: Omit<KeptChange, "count" | "dropped" | "swept">,
  lastPage: () => number,
): number {
  const pages = added.reduce((sum, { stored }) => sum + Math.ceil((stored.length + PAGE_HEADER_BYTES) / PAGE_BYTES), 0);
  return pages + indexPages(added.length + removedKeys.length, addedIds.length + freedIds.length, lastPage);
}

/** For writing blocks in the place of others. */
export function pagesToReplace(blocks: readonly { readonly stored: Buffer }[]): number {
  let pages = BASE_PAGES;
  for (const { stored } of blocks) pages += 1 + Math.ceil((stored.length + PAGE_HEADER_BYTES) / PAGE_BYTES);
  return pages;
}

/** For adding and removing this number of keys. Their hashes are random: each is in another leaf, under another branch. */
export function keyPages(keys: number, lastPage: () => number): number {
  if (keys === 0) return 0;
  const scattered = 2 * keys <= BASE_PAGES ? 2 * keys : Math.min(2 * keys, lastPage());
  return KEY_TREES_PAGES + scattered + Math.ceil(keys / MIN_PAGE_ENTRIES);
}

/** For changing blocks and ids of the index. Each id may be in another page; consecutive blocks share pages. */
export function indexPages(blocks: number, ids: number, lastPage: () => number): number {
  const scattered = ids <= BASE_PAGES ? ids : Math.min(ids, lastPage());
  return BASE_PAGES + scattered + Math.ceil((blocks + ids) / MIN_PAGE_ENTRIES);
}
