/** The frames of one flush. */
import { type Audience, addressesOf, addressesOfIds } from "./audience.js";
import type { Batch } from "./batch.js";
import type { CatchupStep } from "./catchup.js";
import type { Address, Outlet } from "./outlet.js";

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

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /** One body to all audiences that have queued it. */
  sendLive(groups: ReadonlyMap<Batch, readonly Audience[]>): void {
    this.#outlet.prepare(copiedBytes(groups));
    for (const [batch, audiences] of groups) {
      this.#send(addressesOf(audiences, this.#outlet), batch.body());
      for (const { size } of audiences) this.deliveries += size * batch.events;
      this.oldest = Math.min(this.oldest ?? batch.first.time, batch.first.time);
    }
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
function copiedBytes(groups: ReadonlyMap<Batch, readonly Audience[]>): number {
  let bytes = 0;
  for (const [batch, audiences] of groups) for (const { size } of audiences) bytes += batch.bytes * size;
  return bytes;
}
