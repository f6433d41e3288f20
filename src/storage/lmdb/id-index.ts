/** Index of publishers' own ids in a stored history; CustomIds is the one in memory. */
import type { EqualIds } from "../../delivery/history.js";
import { chooseOffset } from "../custom-ids.js";
import type { EventBlock } from "./block.js";

/** The key of the newest offset of an id that was used again. Ids contain no control characters. */
const newestKey = (id: string): string => `\x01${id}`;

/** The key of an id whose event is kept below the floor. */
const keptKey = (id: string): string => `\x02${id}`;

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

  /** Part of a transaction, with one put for each id (commit-pages.ts). Returns the topics of ids that are stored already. */
  add(customIds: EventBlock["customIds"]): string[] {
    const repeatedTopics: string[] = [];
    for (const { id, offset, topic } of customIds) {
      const isHeld = this.#ids.doesExist(id);
      this.#ids.putSync(isHeld ? newestKey(id) : id, offset);
      if (isHeld) repeatedTopics.push(topic);
    }
    return repeatedTopics;
  }

  /** Part of a transaction. */
  remove(id: string, offset: number): void {
    if (this.#ids.get(id) === offset) this.#ids.removeSync(id);
    else if (this.#ids.get(newestKey(id)) === offset) this.#ids.removeSync(newestKey(id));
  }

  /** Part of a transaction: the event of an id is kept. Of several with one id the newest counts. */
  keep(id: string, offset: number): void {
    this.#ids.putSync(keptKey(id), offset);
  }

  /** Part of a transaction: the event is not kept any longer. */
  drop(id: string, offset: number): void {
    if (this.#ids.get(keptKey(id)) === offset) this.#ids.removeSync(keptKey(id));
  }

  /** The offset of the kept event with this id. */
  findKept(id: string): number | undefined {
    return this.#ids.get(keptKey(id));
  }

  find(id: string, which: EqualIds): number | undefined {
    return chooseOffset(which, this.#ids.get(id), which === "newest" ? this.#ids.get(newestKey(id)) : undefined);
  }
}
