/** Publishers' own ids in a stored history: what CustomIds is in memory. */
import type { EqualIds } from "../../delivery/history.js";
import { choose } from "../custom-ids.js";
import type { EventBlock } from "./block.js";

/** Where the newest offset of an id stands that was used again; no id has a control character in it. */
const newestKey = (id: string): string => `\x01${id}`;

/** A database of LMDB. */
export interface IdTable {
  get(id: string): number | undefined;
  doesExist(id: string): boolean;
  putSync(id: string, offset: number): unknown;
  removeSync(id: string): unknown;
}

export class IdIndex {
  readonly #ids: IdTable;

  constructor(ids: IdTable) {
    this.#ids = ids;
  }

  /** Within a transaction, and one put for each: see commit-pages.ts. Returns the topics of those that are held already. */
  add(names: EventBlock["names"]): string[] {
    const repeated: string[] = [];
    for (const { id, offset, topic } of names) {
      const isHeld = this.#ids.doesExist(id);
      this.#ids.putSync(isHeld ? newestKey(id) : id, offset);
      if (isHeld) repeated.push(topic);
    }
    return repeated;
  }

  /** Within a transaction. */
  remove(id: string, offset: number): void {
    if (this.#ids.get(id) === offset) this.#ids.removeSync(id);
    else if (this.#ids.get(newestKey(id)) === offset) this.#ids.removeSync(newestKey(id));
  }

  find(id: string, which: EqualIds): number | undefined {
    return choose(which, this.#ids.get(id), which === "newest" ? this.#ids.get(newestKey(id)) : undefined);
  }
}
