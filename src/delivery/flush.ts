/** The frames of one flush. */
import { type Audience, addressesOf, addressesOfIds } from "./audience.js";
import type { Batch } from "./batch.js";
import type { CatchupStep } from "./catchup.js";
import { encodeFor, type WireBody } from "./compressed-bodies.js";
import type { Compression } from "./compression.js";
import type { Address, Outlet } from "./outlet.js";

/** Audiences by the body that they have queued. */
type Groups = ReadonlyMap<Batch, readonly Audience[]>;

/** What one flush sends to live clients. */
export interface QueuedBodies {
  readonly plain: Groups;
  /** Of compressed audiences. */
  readonly compressed: Groups;
}

/** Figures of one flush. */
export interface Flush {
  readonly bodies: number;
  readonly frames: number;
  readonly bytes: number;
  /** Publications times the clients that they go to. */
  readonly deliveries: number;
  /** When the oldest publication for live clients was published, milliseconds since 1970; undefined = there is none. */
  readonly oldest: number | undefined;
}

/** Sends the frames of one flush and counts them. */
export class FlushWriter implements Flush {
  bodies = 0;
  frames = 0;
  bytes = 0;
  deliveries = 0;
  oldest: number | undefined;
  readonly #outlet: Outlet;
  readonly #compression: Compression | undefined;

  /** `compression`: absent = no audience is compressed. */
  constructor(outlet: Outlet, compression?: Compression) {
    this.#outlet = outlet;
    this.#compression = compression;
  }

  /** One body to all audiences that have queued it. */
  sendLive({ plain, compressed }: QueuedBodies): void {
    const encoded = compressed.size > 0 ? this.#encode(compressed) : [];
    this.#outlet.prepare(copiedBytes(plain, encoded));
    for (const [batch, audiences] of plain) {
      this.#send(addressesOf(audiences, this.#outlet), batch.body());
      this.#count(batch, audiences);
    }
    for (const { addresses, wire } of encoded) this.#send(addresses, wire);
  }

  #encode(groups: Groups): WireBody[] {
    const compression = this.#compression;
    if (!compression) throw new TypeError("an audience is compressed where there is no compression");
    return [...groups].flatMap(([batch, audiences]) => {
      this.#count(batch, audiences);
      return encodeFor(audiences, batch, compression, this.#outlet);
    });
  }

  #count(batch: Batch, audiences: readonly Audience[]): void {
    for (const { size } of audiences) this.deliveries += size * batch.events;
    this.oldest = Math.min(this.oldest ?? batch.first.time, batch.first.time);
  }

  /** The bodies of clients that catch up. */
  sendSteps(steps: readonly CatchupStep[]): void {
    for (const { clients, body, events } of steps) {
      if (body) this.#send(addressesOfIds(idsOf(clients), this.#outlet), body);
      this.deliveries += clients.length * events;
    }
  }

  #send(addresses: readonly Address[], body: Buffer): void {
    this.bodies++;
    for (const address of addresses) {
      this.#outlet.deliver(address, body);
      this.frames++;
      this.bytes += body.length;
    }
  }
}

const idsOf = (clients: CatchupStep["clients"]) => clients.map(({ id }) => id);

/** Bytes that Mongrel2 will copy for live clients. */
function copiedBytes(groups: Groups, encoded: readonly WireBody[]): number {
  let bytes = 0;
  for (const [batch, audiences] of groups) for (const { size } of audiences) bytes += batch.bytes * size;
  for (const { wire, clients } of encoded) bytes += wire.length * clients;
  return bytes;
}
