/**
 * The clients of one server, by connection id, and the audiences they make up. The two always agree: every client is in
 * exactly one audience (live) or in one group that catches up with it, and an audience without any client is forgotten.
 */
import { Audience } from "./audience.js";
import type { Client } from "./client.js";
import type { Outlet } from "./ports.js";
import { type Selectors, signature } from "./topic.js";

export interface Newcomer {
  readonly id: number;
  readonly remote: string;
  readonly selectors: Selectors;
  /** When it came: Clock.monotonic(). */
  readonly since: number;
  /** Bytes that may be under way to it; undefined = no limit. */
  readonly allowance?: number | undefined;
}

export class Registry {
  readonly clients = new Map<number, Client>();
  readonly audiences = new Map<string, Audience>();
  readonly #outlet: Outlet;
  /** How many clients, live or behind, belong to each audience. */
  readonly #sizes = new Map<Audience, number>();

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  get size(): number {
    return this.clients.size;
  }

  /** Adds a client that is neither live nor behind yet. A TypeError if the id is taken: the caller must have looked. */
  add({ id, remote, selectors, since, allowance = Number.POSITIVE_INFINITY }: Newcomer): Client {
    if (this.clients.has(id)) throw new TypeError(`connection ${id} has a client already`);
    const audience = this.#audience(selectors, since);
    this.#sizes.set(audience, (this.#sizes.get(audience) ?? 0) + 1);
    const place = { audience, behind: undefined, seen: 0, settled: false, slot: -1 };
    const client: Client = { id, remote, since, allowance, credit: allowance, ...place };
    this.clients.set(id, client);
    return client;
  }

  /** Removes a client; whoever holds it live or behind has let go of it before. */
  remove(client: Client): void {
    this.clients.delete(client.id);
    const { audience } = client;
    const left = (this.#sizes.get(audience) ?? 1) - 1;
    this.#sizes.set(audience, left);
    if (left > 0) return;
    this.#sizes.delete(audience);
    this.audiences.delete(signature(audience.selectors));
  }

  clear(): void {
    this.clients.clear();
    this.audiences.clear();
    this.#sizes.clear();
  }

  #audience(selectors: Selectors, now: number): Audience {
    const key = signature(selectors);
    let audience = this.audiences.get(key);
    if (!audience) {
      audience = new Audience(selectors, this.#outlet, now);
      this.audiences.set(key, audience);
    }
    return audience;
  }
}
