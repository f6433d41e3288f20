/**
 * A batch is a list of publications that wait to be sent in one body. It is a node of a tree (its parent's list and one
 * publication more), and audiences that wait for the same list hold the same node. That makes "group the audiences by what
 * they wait for" a comparison of pointers: 10,000 audiences that wait for the same event are found to be one group without
 * looking at a single list.
 */
import type { Publication } from "../protocol/publication.js";

/**
 * The largest body of several events, bytes: for up to 250 clients, and for 1000 and more. Mongrel2 copies it for each connection, into
 * a power of two of bytes (and from 128 kB on into pages of its own), and all copies of a flush are there at once: what leaves the
 * processor's cache costs more than there are fewer bodies. (Bursts of 5000 events to 1000 clients: of 64 kB 1.8 million
 * deliveries/s, of 32 kB 2.0, of 16 kB 5.2, of 8 kB 3.7; see mongrel2/heap-warmup.ts, too.)
 */
const MAX_BODY = 64_000;
const MAX_BODY_TO_MANY = 16_000;
/** So many bytes for all together in between. */
const COPIES = 16_000_000;

/** The largest body of several events where there are so many clients, bytes. */
export function maxBody(clients: number): number {
  return Math.max(MAX_BODY_TO_MANY, Math.min(MAX_BODY, COPIES / clients));
}

export class Batch {
  readonly first: Publication;
  /** The bytes of the newest: a batch must not hold more of each event than it needs, for V8's collector copies what waits. */
  readonly last: Buffer;
  /** Size of the body in bytes. */
  readonly bytes: number;
  /** How many publications. */
  readonly events: number;
  readonly #parent: Batch | undefined;
  #child: Batch | undefined;
  #body: Buffer | undefined;

  constructor(publication: Publication, parent?: Batch) {
    this.first = parent?.first ?? publication;
    this.last = publication.bytes;
    this.events = (parent?.events ?? 0) + 1;
    this.bytes = (parent?.bytes ?? 0) + publication.bytes.length;
    this.#parent = parent;
  }

  /**
   * This list and one more. One remembered child is enough to share the node: publications come in one order, so once a
   * later one is asked for, nobody asks for an earlier one again.
   */
  with(publication: Publication): Batch {
    if (this.#child?.last !== publication.bytes) this.#child = new Batch(publication, this);
    return this.#child;
  }

  /** The events of the list, oldest first, joined; made once for all who share the batch. */
  body(): Buffer {
    this.#body ??= this.#parent ? Buffer.concat(this.#chunks(), this.bytes) : this.last;
    return this.#body;
  }

  #chunks(): Buffer[] {
    const chunks: Buffer[] = [];
    for (let batch: Batch | undefined = this; batch; batch = batch.#parent) chunks.push(batch.last);
    return chunks.reverse();
  }
}
