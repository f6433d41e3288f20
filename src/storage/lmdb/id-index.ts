/** Publishers' own ids in a stored history: what CustomIds is in memory. */
import type { EqualIds } from "../../delivery/history.js";
import { chooseOffset } from "../custom-ids.js";
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
  add(customIds: EventBlock["customIds"]): string[] {
    const repeatedTopics: string[] = [];
    for (const { id, offset, topic } of customIds) {
      const isHeld = this.#ids.doesExist(id);
      this.#ids.putSync(isHeld ? newestKey(id) : id, offset);
      if (isHeld) repeatedTopics.push(topic);
    }
    return repeatedTopics;
  }

  /** Within a transaction. */
  remove(id: string, offset: number): void {
    if (this.#ids.get(id) === offset) this.#ids.removeSync(id);
    else if (this.#ids.get(newestKey(id)) === offset) this.#ids.removeSync(newestKey(id));
  }

  find(id: string, which: EqualIds): number | undefined {
    return chooseOffset(which, this.#ids.get(id), which === "newest" ? this.#ids.get(newestKey(id)) : undefined);
  }
}
