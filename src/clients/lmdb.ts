/**
 * The client store: a small record for each client in LMDB, beside the history, and for each server two marks (marks.ts). What a
 * turn of the event loop says is kept when that turn is over, clients before marks: so a fenced position, which counts for all
 * settled clients, is never kept without what was said of clients before it. Where clients come and go in turn after turn, and
 * there is no mark, those of GATHER are kept together.
 *
 * Durability is against the end of the process, not of the machine (noSync): after a reboot no connection is left to adopt.
 * The store belongs to one epoch of the history and one boot of the machine; found in others, it is emptied.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { M2pushError } from "../errors.js";
import type { ClientStore, Legacy, StoredClient } from "../hub/ports.js";
import type { Cancel, Clock } from "../util/clock.js";
import { flawOf } from "../util/lmdb-file.js";
import { LmdbSpace, lastPageOf } from "../util/lmdb-space.js";
import { Pace } from "../util/pace.js";
import { privately } from "../util/private-files.js";
import { type Mark, Marks } from "./marks.js";

/** How exactly the time of a sudden death is known, milliseconds. */
const ALIVE_EVERY = 500;

/**
 * Between two commits of clients alone, milliseconds. Who is not kept when the process is killed is cut by the next one, and comes
 * back by itself. (In a storm of connects a transaction for each turn was a twentieth of the daemon's processor time.)
 */
const GATHER = 50;

/** Pages that any transaction may need: its ways through three trees, and the list of free pages. */
const BASE_PAGES = 24;
const PAGE_BYTES = 4096;
/** Of a record beside its selectors, twice. */
const RECORD_BYTES = 1000;

type Key = [server: string, id: number];

export class LmdbClientStore implements ClientStore {
  readonly #root: RootDatabase;
  readonly #space: LmdbSpace;
  readonly #clients: Database<StoredClient, Key>;
  readonly #marks: Marks;
  readonly #meta: Database<string, string>;
  /** What is to be committed, by server and id: the last one counts; undefined = removed. */
  readonly #changed = new Map<string, Map<number, StoredClient | undefined>>();
  readonly #marked = new Map<string, Partial<Mark>>();
  #isMarking = false;
  readonly #pace: Pace;
  /** After a commit that failed none is tried before this, monotonic. */
  #rest = Number.NEGATIVE_INFINITY;
  readonly #clock: Clock;
  readonly #vouched = new Set<string>();
  readonly #cancel: Cancel;

  /** `folder` must exist and belong to this process alone (the history sees to both). Throws "history.unusable". */
  constructor(folder: string, epoch: string, clock: Clock) {
    this.#clock = clock;
    const path = join(folder, "clients.mdb");
    try {
      const flaw = flawOf(path);
      if (flaw !== undefined) throw new Error(flaw);
      const isNew = !existsSync(path);
      const settings = { path, noSync: true, noMemInit: true, maxDbs: 2, overlappingSync: false };
      this.#root = privately(() => open(settings));
      this.#space = new LmdbSpace({ file: path, lastPage: () => this.#lastPage });
      if (isNew) this.#space.claim(BASE_PAGES);
      this.#clients = this.#root.openDB({ name: "clients", encoding: "json" });
      this.#meta = this.#root.openDB({ name: "meta", encoding: "json" });
      const life = lifeOf(epoch);
      this.#belongTo(life);
      this.#marks = new Marks(join(folder, "clients.marks"), life);
    } catch (cause) {
      const mend = `remove ${path}: browsers then reconnect by themselves`;
      throw new M2pushError(
        "history.unusable",
        `the clients of the last run cannot be read: ${cause instanceof Error ? cause.message : cause}; ${mend}`,
        { cause },
      );
    }
    this.#pace = new Pace(clock, GATHER, () => this.#commit());
    this.#cancel = clock.every(ALIVE_EVERY, () => this.#stamp());
  }

  legacy(server: string): Legacy {
    const { through, aliveAt } = this.#marks.get(server);
    const cleanStop = this.#marks.stoppedCleanly(server);
    const clients: StoredClient[] = [];
    for (const { key, value } of this.#clients.getRange({
      start: [server, 0],
      end: [server, Number.MAX_SAFE_INTEGER],
    })) {
      clients.push({ ...value, id: key[1], seen: value.settled ? Math.max(value.seen, through) : value.seen });
    }
    return { clients, aliveAt, cleanStop };
  }

  put(server: string, client: StoredClient): void {
    this.#change(server, client.id, client);
  }

  remove(server: string, id: number): void {
    this.#change(server, id);
  }

  fenced(server: string, through: number): void {
    this.#mark(server, { through });
  }

  vouch(server: string): void {
    this.#vouched.add(server);
    this.#stamp();
  }

  doubt(server: string): void {
    this.#vouched.delete(server);
  }

  stoppedCleanly(server: string): void {
    this.#mark(server, { cleanStop: true });
  }

  renew(epoch: string): void {
    this.#changed.clear();
    this.#marked.clear();
    const life = lifeOf(epoch);
    this.#belongTo(life);
    this.#marks.renew(life);
  }

  async close(): Promise<void> {
    this.#cancel();
    this.#pace.stop();
    this.#stamp();
    this.#commit();
    this.#marks.close();
    this.#space.close();
    await this.#root.close();
  }

  #belongTo(life: string): void {
    if (this.#meta.get("life") === life) return;
    this.#root.transactionSync(() => {
      this.#clients.clearSync();
      this.#meta.putSync("life", life);
    });
  }

  #change(server: string, id: number, client?: StoredClient): void {
    const changed = this.#changed.get(server);
    if (changed) changed.set(id, client);
    else this.#changed.set(server, new Map([[id, client]]));
    this.#pace.ask();
  }

  #mark(server: string, change: Partial<Mark>): void {
    this.#marked.set(server, { ...this.#marked.get(server), ...change });
    if (this.#isMarking) return;
    this.#isMarking = true;
    setImmediate(() => {
      this.#isMarking = false;
      this.#commit();
    });
  }

  #stamp(): void {
    const aliveAt = this.#clock.monotonic();
    for (const server of this.#vouched) this.#mark(server, { aliveAt });
  }

  /** Where this fails (the disk is full) it is tried again: until then positions stay as they are, and what comes later may come twice. */
  #commit(): void {
    if (this.#changed.size + this.#marked.size === 0) return;
    if (this.#clock.monotonic() < this.#rest) return;
    try {
      if (this.#changed.size > 0) {
        this.#space.claim(pagesOf(this.#changed, this.#lastPage));
        this.#root.transactionSync(() => this.#write());
      }
      this.#changed.clear();
      if (this.#marked.size > 0) this.#marks.set(this.#marked);
      this.#marked.clear();
    } catch {
      this.#rest = this.#clock.monotonic() + ALIVE_EVERY;
    }
  }

  get #lastPage(): number {
    return lastPageOf(this.#root);
  }

  #write(): void {
    for (const [server, changed] of this.#changed) {
      for (const [id, client] of changed) {
        if (client) this.#clients.putSync([server, id], client);
        else this.#clients.removeSync([server, id]);
      }
    }
  }
}

/** A record may stand in any page that is there, and pages may be half full. */
function pagesOf(
  changed: ReadonlyMap<string, ReadonlyMap<number, StoredClient | undefined>>,
  lastPage: number,
): number {
  let [records, bytes] = [0, 0];
  for (const clients of changed.values()) {
    records += clients.size;
    for (const client of clients.values()) bytes += client ? client.selectors.join().length : 0;
  }
  return BASE_PAGES + Math.min(records, lastPage) + Math.ceil((4 * bytes + RECORD_BYTES * records) / PAGE_BYTES);
}

/** One epoch of the history in one boot of the machine. */
function lifeOf(epoch: string): string {
  return `${epoch} ${bootId()}`;
}

/** Names this boot of the machine (Linux); "" where it cannot be told. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}
