/**
 * Connection ids of one life of Mongrel2. They only rise, but for requests that queued up while no handler was there. A much
 * lower one that is not a connection we know to be open means that the life is another one: a check behind the socket monitor,
 * which sees nothing through a proxy.
 */

/** How far out of order ids may arrive: at most 2560 + the socket's 1000. */
const REORDER = 4096;

export class Succession {
  readonly #isOpen: (id: number) => boolean;
  #highest = 0;

  constructor(isOpen: (id: number) => boolean) {
    this.#isOpen = isOpen;
  }

  /** Whether the life is another one with this id. */
  isBroken(id: number): boolean {
    if (id > this.#highest) this.#highest = id;
    return id + REORDER < this.#highest && !this.#isOpen(id);
  }

  /** Another life begins. */
  reset(): void {
    this.#highest = 0;
  }
}
