/**
 * Going on with browsers that an earlier process, or an earlier life of the link, was serving: Mongrel2 holds their sockets,
 * so if it is still the same Mongrel2, they need not notice. If it is another one, the same ids are other people's, and no
 * event may reach them: so nothing is adopted without proof.
 *
 * The proof: an id that was ours is alive, and Mongrel2 has last read from it longer ago than when we were last known to be
 * there. A Mongrel2 that started later cannot have read before it started; and had it restarted while we were there, we
 * would have noticed. Its clock for `last_read` moves in steps (limits.tick_timer, 10 s), so the proof may take one step to
 * show; until then we ask again. (Ids are never reused within one life of Mongrel2.) Where the control port's connection has
 * lasted through a loss of the link, that is proof already, and where it has not, of the contrary: see instance.ts.
 *
 * Without proof, whoever was ours and is still connected is cancelled: a browser then comes back by itself with its last
 * event id, and a stranger merely reconnects. So is, with or without proof, whoever sent a request that got lost on its way
 * to a process that died: nobody will ever answer it.
 */
import type { Legacy, StoredClient } from "../hub/ports.js";
import type { NetRow } from "../protocol/control.js";
import type { Cancel, Clock } from "../util/clock.js";
import type { Instance } from "./instance.js";

/** After the link has become live, milliseconds: requests that were waiting come first, so that their ids are known. */
const FIRST = 50;
/** Between two questions to the control port, milliseconds: each holds Mongrel2 up for some milliseconds. */
const ASK_EVERY = 500;
/** The same, once only lost requests are looked for. */
const SWEEP_EVERY = 2000;
/** How long to wait for a proof: a step of Mongrel2's clock at its default, and some. Milliseconds. */
const PATIENCE = 12_000;
/** Mongrel2's stamps are whole seconds, cut off; and the time the answer takes. Milliseconds. */
const INEXACT = 1500;
/** The type of an HTTP connection in `status net`. */
const HTTP = 1;

export interface RecoveryOptions {
  readonly clock: Clock;
  /** Asks for Mongrel2's connections; undefined = no control port is configured, so nothing can be proven. */
  readonly connections: (() => Promise<readonly NetRow[]>) | undefined;
  /** Whether a client is connected under this id now: then the id is not the old client's, or is so no more. */
  readonly isTaken: (id: number) => boolean;
  readonly adopt: (client: StoredClient) => void;
  /** These will not be served on: their connection is cancelled, gone, or somebody else's by now. */
  readonly forget: (clients: readonly StoredClient[]) => void;
  /** Cancels connections. */
  readonly cancel: (ids: readonly number[]) => void;
  /** What is stored is true again: everything old is adopted, cancelled or gone. */
  readonly settled: (result: Recovered) => void;
  /** The control port did not answer; it is asked again. */
  readonly failed: (error: unknown) => void;
}

export interface Recovered {
  readonly adopted: number;
  readonly cancelled: number;
  /** Old clients that are not connected any more. */
  readonly gone: number;
  readonly proven: boolean;
}

/** What is not known yet. */
interface Open {
  /** Undefined once it is settled. */
  readonly legacy: Legacy | undefined;
  /** It is known to be the same Mongrel2. */
  readonly isSame: boolean;
  /** Connections whose requests may have been lost; undefined before the first answer. */
  readonly suspects?: ReadonlySet<number>;
}

export class Recovery {
  readonly #options: RecoveryOptions;
  #again: Cancel | undefined;
  /** Counts begin() and stop(): an answer that comes for an earlier one is not looked at. */
  #turn = 0;
  #isOver = false;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** Nothing that was left behind is undecided any more, and no request is missed. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Begins, when the link has become live. */
  begin(legacy: Legacy, instance: Instance): void {
    this.stop();
    this.#isOver = false;
    const { connections, clock } = this.#options;
    const open = { legacy: instance === "restarted" ? this.#letGo(legacy) : legacy, isSame: instance === "same" };
    const turn = this.#turn;
    const since = clock.monotonic();
    this.#again = clock.after(FIRST, () =>
      connections ? this.#ask(open, since, connections, turn) : this.#giveUp(legacy),
    );
  }

  /** It is another Mongrel2: their connections have ended, and the same ids are other people's, who are left alone. */
  #letGo({ clients }: Legacy): undefined {
    this.#options.forget(clients);
    this.#options.settled({ adopted: 0, cancelled: 0, gone: clients.length, proven: false });
  }

  /** Nothing can be proven without a control port. */
  #giveUp(legacy: Legacy): void {
    const left = legacy.clients.filter(({ id }) => !this.#options.isTaken(id));
    this.#cancel(left.map(({ id }) => id));
    this.#options.forget(legacy.clients);
    this.#options.settled({ adopted: 0, cancelled: left.length, gone: 0, proven: false });
    this.#isOver = true;
  }

  stop(): void {
    this.#turn++;
    this.#again?.();
    this.#again = undefined;
  }

  #ask(open: Open, liveSince: number, connections: () => Promise<readonly NetRow[]>, turn: number): void {
    if (this.#isDecided(open)) {
      this.#isOver = true;
      return;
    }
    const { clock, failed } = this.#options;
    const asked = clock.monotonic();
    const again = (next: Open) => {
      const wait = next.legacy ? ASK_EVERY : SWEEP_EVERY;
      this.#again = clock.after(wait, () => this.#ask(next, liveSince, connections, turn));
    };
    connections().then(
      (rows) => {
        if (turn !== this.#turn) return;
        const late = asked - liveSince > PATIENCE;
        const decided = this.#look(open, rows, asked, late);
        const suspects = this.#sweep(rows, asked - liveSince, open.suspects);
        if (late) this.#isOver = true;
        else again({ ...open, legacy: decided ? undefined : open.legacy, suspects });
      },
      (error) => {
        if (turn !== this.#turn) return;
        failed(error);
        again(open);
      },
    );
  }

  /** Whose requests have come meanwhile were not lost: in a storm of browsers, all that were under way at the first question. */
  #isDecided({ legacy, suspects }: Open): boolean {
    return !legacy && suspects !== undefined && [...suspects].every((id) => this.#options.isTaken(id));
  }

  /** Decides about what was left behind; true when nothing is left to decide. */
  #look({ legacy, isSame }: Open, rows: readonly NetRow[], asked: number, late: boolean): boolean {
    if (!legacy) return true;
    const { isTaken, adopt, forget, settled } = this.#options;
    const alive = new Map(rows.map((row) => [row.id, row]));
    const left = legacy.clients.filter(({ id }) => alive.has(id) && !isTaken(id));
    const proven = isSame || left.some(({ id }) => readLongerAgo(alive.get(id), asked - legacy.aliveAt));
    if (left.length > 0 && !proven && !late) return false;
    // Nothing was ever written: the answer to its request was lost with us, so there is no stream to go on with.
    const opened = proven ? left.filter(({ id }) => (alive.get(id)?.bytesWritten ?? 0) > 0) : [];
    for (const client of opened) adopt(client);
    const cut = left.filter(({ id }) => !isTaken(id)).map(({ id }) => id);
    this.#cancel(cut);
    const kept = new Set(opened);
    forget(legacy.clients.filter((client) => !kept.has(client)));
    settled({ adopted: opened.length, cancelled: cut.length, gone: legacy.clients.length - left.length, proven });
    return true;
  }

  /**
   * Cancels HTTP connections that sent a request before the link was live and have not been written a byte since. Returns those that
   * may yet show to be so: only who was there when it was first asked can be.
   */
  #sweep(rows: readonly NetRow[], live: number, suspects?: ReadonlySet<number>): Set<number> {
    const unanswered = rows.filter(({ id, type, bytesWritten }) => {
      const isSuspect = suspects?.has(id) ?? (id > 0 && type === HTTP);
      return isSuspect && bytesWritten === 0 && !this.#options.isTaken(id);
    });
    const isLost = (row: NetRow) => readLongerAgo(row, live);
    this.#cancel(unanswered.filter(isLost).map(({ id }) => id));
    return new Set(unanswered.filter((row) => !isLost(row)).map(({ id }) => id));
  }

  #cancel(ids: readonly number[]): void {
    if (ids.length > 0) this.#options.cancel(ids);
  }
}

/** Whether Mongrel2 has certainly last read from a connection more than `milliseconds` ago. */
function readLongerAgo(row: NetRow | undefined, milliseconds: number): boolean {
  return row !== undefined && row.lastRead * 1000 - INEXACT > milliseconds;
}
