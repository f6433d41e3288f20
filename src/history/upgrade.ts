/** Format 1 had no blocks, but a record for each offset: crc32 u32 (as in a block), and what a block's record has behind its offset. */
import type { Database, RootDatabase } from "lmdb";
import type { Publication } from "../protocol/publication.js";
import { Block, isWhole, publicationsIn, recordHead } from "./block.js";

type Entry = { readonly key: number; readonly value: Buffer };

/** Puts the events of format 1 into blocks, in one transaction; `done` says in it which format the file has now. */
export function upgrade(root: RootDatabase, blocks: Database<Buffer, number>, epoch: string, done: () => void): void {
  const events = root.openDB<Buffer, number>({ name: "events", encoding: "binary" });
  root.transactionSync(() => {
    for (const block of upgraded(events.getRange({}), epoch)) {
      block.seal();
      blocks.putSync(block.last, block.stored);
    }
    events.clearSync();
    done();
  });
}

/** What was stored, by rising offset, in blocks; damaged events are left out. */
function* upgraded(entries: Iterable<Entry>, epoch: string): Iterable<Block> {
  let block: Block | undefined;
  for (const publication of publications(entries, epoch)) {
    if (block?.add(publication)) continue;
    if (block) yield block;
    block = new Block(epoch, publication);
  }
  if (block) yield block;
}

function* publications(entries: Iterable<Entry>, epoch: string): Iterable<Publication> {
  for (const { key, value } of entries) {
    const rest = value.subarray(4);
    if (!isWhole(value)) continue;
    yield* publicationsIn(epoch, Buffer.concat([Buffer.alloc(4), recordHead(key, rest.length), rest]));
  }
}
