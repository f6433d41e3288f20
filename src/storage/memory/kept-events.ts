/**
 * The kept events of a history in memory, by rising offset. An event that is superseded stays until the sweep finds it, which goes round
 * and round, an event for each one that is added.
 */
import type { KeepPolicy } from "../../delivery/history.js";
import type { Publication } from "../../protocol/publication.js";

export class KeptEvents {
  readonly #events = new Map<number, Publication>();
  /** The newest event of each id. */
  readonly #offsets = new Map<string, number>();
  /** The present round of the sweep. */
  #round: IterableIterator<Publication> | undefined;
  /** The present removal. */
  #removal: IterableIterator<Publication> | undefined;

  get size(): number {
    return this.#events.size;
  }

  /** Keeps an event above all others if the policy says so. `now`: milliseconds since 1970. */
  add(publication: Publication, policy: KeepPolicy, now: number): void {
    const { topics, offset } = publication;
    if (policy.isKept(topics, offset)) {
      this.#events.set(offset, publication);
      this.#offsets.set(publication.id, offset);
    }
    if (this.#events.size > 0) this.#sweep(policy, now);
  }

  /** The offset of the event with this id. */
  find(id: string): number | undefined {
    return this.#offsets.get(id);
  }

  #delete({ id, offset }: Publication): void {
    this.#events.delete(offset);
    if (this.#offsets.get(id) === offset) this.#offsets.delete(id);
  }

  /** Those above one offset up to another. */
  *read(after: number, through: number): Iterable<Publication> {
    if (through - after <= this.#events.size) {
      for (let offset = after + 1; offset <= through; offset++) {
        const publication = this.#events.get(offset);
        if (publication) yield publication;
      }
    } else {
      for (const publication of this.#events.values())
        if (publication.offset > after && publication.offset <= through) yield publication;
    }
  }

  /** Goes on to remove events, from the first one where `after` is 0. Returns the offset that it has reached; undefined = the end. */
  remove(isRemoved: (publication: Publication) => boolean, after: number, most: number): number | undefined {
    if (after === 0 || !this.#removal) this.#removal = this.#events.values();
    for (let step = 1; ; step++) {
      const { value, done } = this.#removal.next();
      if (done) return undefined;
      if (isRemoved(value)) this.#delete(value);
      if (step === most) return value.offset;
    }
  }

  #sweep(policy: KeepPolicy, now: number): void {
    this.#round ??= this.#events.values();
    const { value, done } = this.#round.next();
    if (done) {
      this.#round = undefined;
      return;
    }
    const isKept = policy.isKept(value.topics, value.offset);
    if (isKept && (value.expiresAt === undefined || value.expiresAt > now)) return;
    this.#delete(value);
    if (isKept) policy.dropped(value.topics, value.offset);
  }
}
