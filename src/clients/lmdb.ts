/**
 * The client store: one small record a client in LMDB, beside the history, and for each server two marks (marks.ts). lmdb
 * gathers writes and commits them a moment later in another thread, in the order they were made; nothing here waits for it,
 * but the marks: a fenced position counts for all settled clients, so it must not be kept before it is that a client is
 * settled no more.
 *
 * Durability is against the end of the process, not of the machine (noSync): after a reboot no connection is left to adopt.
 * The store belongs to one epoch of the history and one boot of the machine; found in others, it is emptied.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { M2pushError } from "../errors.js";
import type { ClientStore, Legacy, StoredClient } from "../hub/ports.js";
import type { Cancel, Clock } from "../util/clock.js";
import { flawOf } from "../util/lmdb-file.js";
import { tolerateStrayRejections } from "../util/stray.js";
import { Marks } from "./marks.js";

/** How exactly the time of a sudden death is known, milliseconds. */
const ALIVE_EVERY = 500;

type Key = [server: string, id: number];
type Record = Omit<StoredClient, "id">;

export class LmdbClientStore implements ClientStore {
  readonly #root: RootDatabase;
  readonly #clients: Database<Record, Key>;
  readonly #marks: Marks;
  /** Fenced positions that are not kept yet. */
  readonly #fenced = new Map<string, { through: number }>();
  /** Writes that are not committed yet. */
  #pending = 0;
  readonly #clock: Clock;
  readonly #vouched = new Set<string>();
  readonly #cancel: Cancel;

  /** `folder` must exist and belong to this process alone (the history sees to both). Throws "history.unusable". */
  constructor(folder: string, epoch: string, clock: Clock) {
    this.#clock = clock;
    tolerateStrayRejections();
    const path = join(folder, "clients.mdb");
    try {
      const flaw = flawOf(path);
      if (flaw !== undefined) throw new Error(flaw);
      this.#root = open({
        path,
        noSync: true,
        noMemInit: true,
        maxDbs: 2,
        overlappingSync: false,
      });
      this.#clients = this.#root.openDB({ name: "clients", encoding: "json" });
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
    this.#cancel = clock.every(ALIVE_EVERY, () => this.#stamp());
  }

  legacy(server: string): Legacy {
    const { through, aliveAt } = this.#marks.get(server);
    const clients: StoredClient[] = [];
    for (const { key, value } of this.#clients.getRange({
      start: [server, 0],
      end: [server, Number.MAX_SAFE_INTEGER],
    })) {
      clients.push({ id: key[1], ...value, seen: value.settled ? Math.max(value.seen, through) : value.seen });
    }
    return { clients, aliveAt };
  }

  put(server: string, { id, ...record }: StoredClient): void {
    this.#write(this.#clients.put([server, id], record));
  }

  remove(server: string, id: number): void {
    this.#write(this.#clients.remove([server, id]));
  }

  fenced(server: string, through: number): void {
    this.#fenced.set(server, { through });
    if (this.#pending === 0) this.#keepFenced();
  }

  vouch(server: string): void {
    this.#vouched.add(server);
    this.#stamp();
  }

  doubt(server: string): void {
    this.#vouched.delete(server);
  }

  renew(epoch: string): void {
    const life = lifeOf(epoch);
    this.#belongTo(life);
    this.#fenced.clear();
    this.#marks.renew(life);
  }

  async close(): Promise<void> {
    this.#cancel();
    this.#stamp();
    await this.#root.flushed;
    this.#keepFenced();
    this.#marks.close();
    await this.#root.close();
  }

  #belongTo(life: string): void {
    const meta = this.#root.openDB<string, string>({ name: "meta", encoding: "json" });
    if (meta.get("life") === life) return;
    this.#clients.clearSync();
    meta.putSync("life", life);
  }

  /** Where a write fails nothing is known for sure any more: positions stay as they are, and what comes later may come twice. */
  #write(committed: Promise<boolean>): void {
    this.#pending++;
    committed.then(
      () => {
        if (--this.#pending === 0) this.#keepFenced();
      },
      () => {},
    );
  }

  #keepFenced(): void {
    if (this.#fenced.size === 0) return;
    this.#marks.set(this.#fenced);
    this.#fenced.clear();
  }

  #stamp(): void {
    const aliveAt = this.#clock.monotonic();
    this.#marks.set([...this.#vouched].map((server) => [server, { aliveAt }]));
  }
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
