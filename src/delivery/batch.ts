/**
 * A batch is a list of publications that will be sent in one body. It is a node of a tree (its parent's list and one more publication), and
 * audiences with the same list hold the same node. Grouping audiences by their next body is thus a comparison of pointers: 10,000 audiences
 * with the same queued event form one group without a comparison of lists.
 */
import type { Publication } from "../protocol/publication.js";

/**
 * The largest body of several events: for up to 250 clients, and for 1000 and more. Mongrel2 copies it for each connection into a block of
 * 2^n bytes (from 128 kB on into separate pages), and all copies of a flush exist at once: copies that do not fit into the processor's cache
 * cost more than fewer bodies save. (Bursts of 5000 events to 1000 clients: bodies of 64 kB gave 1.8 million deliveries/s, 32 kB 2.0, 16 kB
 * 5.2, 8 kB 3.7; see also mongrel2/heap-warmup.ts.)
 */
const MAX_BODY_BYTES = 64_000;
const MAX_BODY_TO_MANY_BYTES = 16_000;
/** In between: the limit for all copies of a body together. */
const MAX_COPIES_BYTES = 16_000_000;

/** The largest body of several events for this number of clients, bytes. */
export function maxBodyBytes(clients: number): number {
  return Math.max(MAX_BODY_TO_MANY_BYTES, Math.min(MAX_BODY_BYTES, MAX_COPIES_BYTES / clients));
}

/** What a batch needs of a publication. */
type Queued = Pick<Publication, "bytes" | "offset" | "time" | "expiresAt" | "private">;

/** Times are milliseconds since 1970. */
interface BatchExpiry {
  /** When the first of the publications expires. */
  readonly firstAt: number;
  /** When the newest publication expires; undefined = never. */
  readonly newestAt: number | undefined;
  /** What unexpired() made last; "nothing" = every publication had expired; undefined = it was not called. */
  left: Batch | "nothing" | undefined;
}

export class Batch {
  readonly first: Pick<Publication, "offset" | "time">;
  /** The wire bytes of the newest publication. Only these are kept of it, because V8's collector copies everything that is queued. */
  readonly last: Buffer;
  /** Size of the body in bytes. */
  readonly bytes: number;
  /** Publications in the list. */
  readonly events: number;
  /** Some of them are private. */
  readonly isPrivate: boolean;
  /** Undefined = none of its publications expires. */
  readonly #expiry: BatchExpiry | undefined;
  readonly #parent: Batch | undefined;
  #child: Batch | undefined;
  #body: Buffer | undefined;

  constructor(publication: Queued, parent?: Batch) {
    this.first = parent?.first ?? publication;
    this.last = publication.bytes;
    this.events = (parent?.events ?? 0) + 1;
    this.isPrivate = publication.private || parent?.isPrivate === true;
    this.bytes = (parent?.bytes ?? 0) + publication.bytes.length;
    const { expiresAt } = publication;
    const expiry = parent ? parent.#expiry : undefined;
    this.#expiry = expiresAt === undefined && expiry === undefined ? undefined : expiryOf(expiresAt, expiry);
    this.#parent = parent;
  }

  /**
   * This list and one more publication. One remembered child is enough to share the node: publications are queued in one order, so an earlier
   * one is never queued after a later one.
   */
  with(publication: Queued): Batch {
    if (this.#child?.last !== publication.bytes) this.#child = new Batch(publication, this);
    return this.#child;
  }

  /**
   * This list without the publications that have expired by now, milliseconds since 1970; undefined = all of them have. Made once for all
   * audiences that share the batch.
   */
  unexpired(now: number): Batch | undefined {
    const expiry = this.#expiry;
    if (expiry === undefined || expiry.firstAt > now) return this;
    const { left } = expiry;
    const next = left === undefined ? this.#withoutExpired(now) : left === "nothing" ? undefined : left.unexpired(now);
    expiry.left = next ?? "nothing";
    return next;
  }

  #withoutExpired(now: number): Batch | undefined {
    const { offset, time } = this.first;
    let left: Batch | undefined;
    for (const node of this.#nodes()) {
      const expiresAt = node.#expiry?.newestAt;
      if (expiresAt !== undefined && expiresAt <= now) continue;
      const expiry = expiresAt !== undefined && { expiresAt };
      left = new Batch({ bytes: node.last, offset, time, private: node.isPrivate, ...expiry }, left);
    }
    return left;
  }

  /** The events of the list, oldest first, joined; made once for all audiences that share the batch. */
  body(): Buffer {
    this.#body ??= this.#parent ? Buffer.concat(this.#chunks(), this.bytes) : this.last;
    return this.#body;
  }

  #chunks(): Buffer[] {
    const chunks: Buffer[] = [];
    for (let batch: Batch | undefined = this; batch; batch = batch.#parent) chunks.push(batch.last);
    return chunks.reverse();
  }

  /** A node for each publication, the oldest first. */
  #nodes(): Batch[] {
    const nodes: Batch[] = [];
    for (let batch: Batch | undefined = this; batch; batch = batch.#parent) nodes.push(batch);
    return nodes.reverse();
  }
}

function expiryOf(newestAt: number | undefined, parent: BatchExpiry | undefined): BatchExpiry {
  const [never, firstAt] = [Number.POSITIVE_INFINITY, parent?.firstAt];
  return { firstAt: Math.min(firstAt ?? never, newestAt ?? never), newestAt, left: undefined };
}
