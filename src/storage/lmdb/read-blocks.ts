/**
 * Reads the events of a table of blocks. Single events are read without the rest of their blocks: a state of 1,000 topics has its events in as
 * many blocks, and as ranges, whose blocks are copied, they took 28 ms, a third of it for the memory of the copies.
 */
import type { Publication } from "../../protocol/publication.js";
import { firstIndex } from "../../util/first-index.js";
import { isIntact, publicationsAt, publicationsIn } from "./block.js";

/** A database of LMDB: blocks by the offset of their last event. */
export interface BlockTable {
  getRange(range: { readonly start?: number; readonly limit?: number }): Iterable<{ key: number; value: Buffer }>;
  getKeys(range: { readonly start: number; readonly limit: number }): Iterable<number>;
  /** Bytes that are valid until the next call. */
  getBinaryFast(key: number): Buffer | undefined;
}

export interface ReadRange {
  /** The range begins above this offset. */
  readonly after: number;
  readonly through: number;
  /** Read the events with these offsets only, which rise; undefined = all. */
  readonly only?: readonly number[] | undefined;
}

/** The events in a range, by rising offset; a number stands for a damaged block, whose events end at that offset. */
export function readBlocks(
  epoch: string,
  table: BlockTable,
  { after, through, only }: ReadRange,
): Iterable<Publication | number> {
  if (only) return readSingle(epoch, table, offsetsBetween(only, after, through));
  return readAll(epoch, table.getRange({ start: after + 1 }), after, through);
}

function* readAll(
  epoch: string,
  blocks: Iterable<{ readonly key: number; readonly value: Buffer }>,
  after: number,
  through: number,
): Iterable<Publication | number> {
  for (const { key, value } of blocks) {
    if (!isIntact(value)) {
      yield key;
      continue;
    }
    for (const publication of publicationsIn(epoch, Buffer.from(value), after)) {
      if (publication.offset > through) return;
      yield publication;
    }
  }
}

function* readSingle(epoch: string, table: BlockTable, offsets: readonly number[]): Iterable<Publication | number> {
  for (let at = 0; at < offsets.length; ) {
    const key = firstKey(table, offsets[at] as number);
    const block = key === undefined ? undefined : table.getBinaryFast(key);
    if (key === undefined || block === undefined) return;
    const end = firstIndex(at, offsets.length, (index) => (offsets[index] as number) <= key);
    if (isIntact(block)) yield* publicationsAt(epoch, block, offsets.slice(at, end));
    else yield key;
    at = end;
  }
}

/** The key of the block that holds an offset, or of the first one above it. */
function firstKey(table: BlockTable, offset: number): number | undefined {
  for (const key of table.getKeys({ start: offset, limit: 1 })) return key;
  return undefined;
}

/** Those of rising offsets that are above one offset and at most another. */
export function offsetsBetween(offsets: readonly number[], after: number, through: number): readonly number[] {
  const first = firstIndex(0, offsets.length, (at) => (offsets[at] as number) <= after);
  const end = firstIndex(first, offsets.length, (at) => (offsets[at] as number) <= through);
  return offsets.slice(first, end);
}
