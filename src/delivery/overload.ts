/**
 * Streams whose patterns are too expensive to be tried while publications are delivered. They are deferred: they catch up from the history,
 * in slices, and become live again afterwards, so their order is kept and no other client is delayed. Publications that are trimmed
 * meanwhile are reported to them as a gap, "overload". After MAX_OVERLOAD_MS without a break their streams are closed, the most expensive
 * first.
 */
import type { Cancel, Clock } from "../util/clock.js";
import type { Audience } from "./audience.js";
import type { Catchup } from "./catchup.js";
import type { Client } from "./client.js";
import type { Outbox } from "./outbox.js";
import type { Registry } from "./registry.js";

export interface OverloadOptions {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly catchup: Catchup;
  readonly outbox: Outbox;
  /** Closes the stream of a client as too expensive. */
  readonly disconnect: (client: Client) => void;
}

/** How long a stream may be too expensive, without a break of CALM_MS. */
const MAX_OVERLOAD_MS = 10_000;
const CALM_MS = 5_000;
const CHECK_INTERVAL_MS = 1_000;
/** Streams that are closed in one turn of the event loop: each is a log line and a frame. */
const MAX_CLOSED_CLIENTS = 200;

/** The time during which one audience is too expensive. */
interface Spell {
  readonly since: number;
  /** When it was last deferred, or still behind: Clock.monotonic(). */
  last: number;
}

export class Overload {
  readonly #options: OverloadOptions;
  readonly #spells = new Map<Audience<Client>, Spell>();
  #timer: Cancel | undefined;

  constructor(options: OverloadOptions) {
    this.#options = options;
  }

  /** Called before the outbox adds the publication that these audiences may get. */
  defer(audiences: readonly Audience<Client>[]): void {
    if (audiences.length === 0) return;
    const now = this.#options.clock.monotonic();
    for (const audience of audiences) {
      const spell = this.#spells.get(audience) ?? { since: now, last: now };
      spell.last = now;
      this.#spells.set(audience, spell);
      audience.isOverloading = true;
      this.#options.registry.defer(audience);
      this.#options.outbox.fallBehind(audience);
    }
    this.#timer ??= this.#options.clock.every(CHECK_INTERVAL_MS, () => this.#check());
  }

  /** Stops watching: the clients are lost, or the daemon stops. */
  reset(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#spells.clear();
  }

  #check(): void {
    const now = this.#options.clock.monotonic();
    const tooLong: Audience<Client>[] = [];
    for (const [audience, spell] of this.#spells) {
      if (this.#options.catchup.isBehind(audience)) spell.last = now;
      if (audience.clients === 0 || now - spell.last >= CALM_MS) this.#end(audience);
      else if (now - spell.since >= MAX_OVERLOAD_MS) tooLong.push(audience);
    }
    if (tooLong.length > 0) this.#disconnect(mostExpensive(tooLong));
    if (this.#spells.size === 0) this.reset();
  }

  #end(audience: Audience<Client>): void {
    this.#spells.delete(audience);
    audience.isOverloading = false;
  }

  #disconnect(audiences: ReadonlySet<Audience<Client>>): void {
    const { clock, registry, disconnect } = this.#options;
    const clients = [...registry.clients.values()].filter(({ audience }) => audiences.has(audience));
    const next = () => {
      for (const client of clients.splice(0, MAX_CLOSED_CLIENTS))
        if (client.state.name !== "closed") disconnect(client);
      if (clients.length > 0) clock.after(0, next);
    };
    next();
  }
}

/** Those that cost at least half of the total: the others may be cheap enough without them. */
function mostExpensive(audiences: readonly Audience<Client>[]): Set<Audience<Client>> {
  const sorted = [...audiences].sort((a, b) => b.cost - a.cost);
  const half = sorted.reduce((sum, { cost }) => sum + cost, 0) / 2;
  const chosen = new Set<Audience<Client>>();
  let sum = 0;
  for (const audience of sorted) {
    if (sum >= half && chosen.size > 0) break;
    chosen.add(audience);
    sum += audience.cost;
  }
  return chosen;
}
