/**
 * Streams whose patterns are too expensive to be tried while publications are delivered. They are deferred: they read on from
 * history, in slices, and come back when they have caught up, so their order is kept, and nobody else waits for them. What
 * falls out of the history meanwhile they are told as a gap, "overload". Where that goes on for CUT_MS, they are cut, the most
 * expensive ones first.
 */
import type { Cancel, Clock } from "../util/clock.js";
import type { Audience } from "./audience.js";
import type { Catchup } from "./catchup.js";
import type { Outbox } from "./outbox.js";
import type { Registry } from "./registry.js";

export interface OverloadOptions {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly catchup: Catchup;
  readonly outbox: Outbox;
  /** Ends the stream of a client: too expensive. */
  readonly cut: (client: number) => void;
}

/** How long a stream may be too expensive, without a pause of CALM_MS. */
const CUT_MS = 10_000;
const CALM_MS = 5_000;
const CHECK_MS = 1_000;
/** Streams that are cut in one turn of the event loop: each is a line in the log and a frame. */
const MAX_CUT_A_TURN = 200;

interface Spell {
  readonly since: number;
  /** When it was last deferred, or still behind. */
  last: number;
}

export class Overload {
  readonly #options: OverloadOptions;
  readonly #spells = new Map<Audience, Spell>();
  #timer: Cancel | undefined;

  constructor(options: OverloadOptions) {
    this.#options = options;
  }

  /** Audiences that are or were deferred lately. */
  get size(): number {
    return this.#spells.size;
  }

  /** Called before the outbox is told of the publication that these may get. */
  defer(audiences: readonly Audience[]): void {
    const now = this.#options.clock.monotonic();
    for (const audience of audiences) {
      const spell = this.#spells.get(audience) ?? { since: now, last: now };
      spell.last = now;
      this.#spells.set(audience, spell);
      audience.isOverloading = true;
      this.#options.registry.defer(audience);
      this.#options.outbox.defer(audience);
    }
    this.#timer ??= this.#options.clock.every(CHECK_MS, () => this.#check());
  }

  /** Their clients are gone. */
  reset(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#spells.clear();
  }

  #check(): void {
    const now = this.#options.clock.monotonic();
    const over: Audience[] = [];
    for (const [audience, spell] of this.#spells) {
      if (this.#options.catchup.isBehind(audience)) spell.last = now;
      if (audience.clients === 0 || now - spell.last >= CALM_MS) this.#end(audience);
      else if (now - spell.since >= CUT_MS) over.push(audience);
    }
    if (over.length > 0) this.#cut(mostExpensive(over));
    if (this.#spells.size === 0) this.reset();
  }

  #end(audience: Audience): void {
    this.#spells.delete(audience);
    audience.isOverloading = false;
  }

  #cut(audiences: ReadonlySet<Audience>): void {
    const { clients } = this.#options.registry;
    const ids = [...clients.values()].filter(({ audience }) => audiences.has(audience)).map(({ id }) => id);
    const expected = new Map(ids.map((id) => [id, clients.get(id)]));
    const next = () => {
      for (const id of ids.splice(0, MAX_CUT_A_TURN)) {
        if (clients.get(id) === expected.get(id)) this.#options.cut(id);
      }
      if (ids.length > 0) this.#options.clock.after(0, next);
    };
    next();
  }
}

/** Those that cost at least half of what all of them cost: the others may have time enough then. */
function mostExpensive(audiences: readonly Audience[]): Set<Audience> {
  const sorted = [...audiences].sort((a, b) => b.cost - a.cost);
  const half = sorted.reduce((sum, { cost }) => sum + cost, 0) / 2;
  const chosen = new Set<Audience>();
  let sum = 0;
  for (const audience of sorted) {
    if (sum >= half && chosen.size > 0) break;
    chosen.add(audience);
    sum += audience.cost;
  }
  return chosen;
}
