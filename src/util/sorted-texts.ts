/**
 * A sorted set of texts, in blocks: a text that is added or removed moves at most one block of others, so a million texts can be sorted in
 * slices and kept sorted afterwards. Texts are compared by UTF-16 units.
 */

import { firstIndex } from "./first-index.js";

/** A full block is split in two. */
const MAX_BLOCK_ENTRIES = 512;

export class SortedTexts {
  /** No block is empty. */
  readonly #blocks: string[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** A text that is there already has no effect. */
  add(text: string): void {
    const at = this.#blockOf(text);
    const block = this.#blocks[at];
    if (!block) {
      this.#blocks.push([text]);
      this.#size++;
      return;
    }
    const place = placeIn(block, text);
    if (block[place] === text) return;
    block.splice(place, 0, text);
    this.#size++;
    if (block.length > MAX_BLOCK_ENTRIES) this.#blocks.splice(at + 1, 0, block.splice(MAX_BLOCK_ENTRIES / 2));
  }

  delete(text: string): void {
    const at = this.#blockOf(text);
    const block = this.#blocks[at];
    const place = block ? placeIn(block, text) : 0;
    if (block?.[place] !== text) return;
    block.splice(place, 1);
    this.#size--;
    if (block.length === 0) this.#blocks.splice(at, 1);
  }

  /** At most `most` texts that begin with a prefix, in order, above `after`; "" = from the first one. */
  withPrefix(prefix: string, after: string, most: number): string[] {
    const start = after > prefix ? after : prefix;
    const found: string[] = [];
    let at = this.#blockOf(start);
    let place = placeIn(this.#blocks[at] ?? [], start);
    for (let block = this.#blocks[at]; block; block = this.#blocks[++at]) {
      for (; place < block.length; place++) {
        const text = block[place] as string;
        if (!text.startsWith(prefix) || found.length === most) return found;
        if (text !== after || after === "") found.push(text);
      }
      place = 0;
    }
    return found;
  }

  /** Index of the block that holds a text, or would. */
  #blockOf(text: string): number {
    const next = firstIndex(0, this.#blocks.length, (at) => (this.#blocks[at]?.[0] ?? "") <= text);
    return Math.max(0, next - 1);
  }
}

/** Index of the first text in a block that is not below this one. */
function placeIn(block: readonly string[], text: string): number {
  return firstIndex(0, block.length, (at) => (block[at] as string) < text);
}
