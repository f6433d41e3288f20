/**
 * The client store in LMDB, beside the history. One small record a client, and for each server the fenced position and
 * the time when a process last vouched for it. lmdb gathers writes and commits them a moment later in another thread, in the
 * order they were made; nothing here waits for it.
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

/** How exactly the time of a sudden death is known, milliseconds. */
const ALIVE_EVERY = 500;

type Key = [server: string, id: number];
type Record = Omit<StoredClient, "id">;

export class LmdbClientStore implements ClientStore {
  readonly #root: RootDatabase;
  readonly #clients: Database<Record, Key>;
  readonly #fences: Database<number, string>;
  readonly #alive: Database<number, string>;
  readonly #clock: Clock;
  readonly #vouched = new Set<string>();
  readonly #cancel: Cancel;

  /** `folder` must exist and belong to this process alone (the history sees to both). Throws "history.unusable". */
  constructor(folder: string, epoch: string, clock: Clock) {
    this.#clock = clock;
    try {
      this.#root = open({
        path: join(folder, "clients.mdb"),
        noSync: true,
        noMemInit: true,
        maxDbs: 4,
        overlappingSync: false,
      });
      this.#clients = this.#root.openDB({ name: "clients", encoding: "json" });
      this.#fences = this.#root.openDB({ name: "fences", encoding: "json" });
      this.#alive = this.#root.openDB({ name: "alive", encoding: "json" });
      this.#belongTo(`${epoch} ${bootId()}`);
    } catch (cause) {
      const mend = `remove ${join(folder, "clients.mdb")}: browsers then reconnect by themselves`;
      throw new M2pushError(
        "history.unusable",
        `the clients of the last run cannot be read: ${String(cause)}; ${mend}`,
        { cause },
      );
    }
    this.#cancel = clock.every(ALIVE_EVERY, () => this.#stamp());
  }

  legacy(server: string): Legacy {
    const through = this.#fences.get(server) ?? 0;
    const clients: StoredClient[] = [];
    for (const { key, value } of this.#clients.getRange({
      start: [server, 0],
      end: [server, Number.MAX_SAFE_INTEGER],
    })) {
      clients.push({ id: key[1], ...value, seen: value.settled ? Math.max(value.seen, through) : value.seen });
    }
    return { clients, aliveAt: this.#alive.get(server) ?? 0 };
  }

  put(server: string, { id, ...record }: StoredClient): void {
    void this.#clients.put([server, id], record);
  }

  remove(server: string, id: number): void {
    void this.#clients.remove([server, id]);
  }

  fenced(server: string, through: number): void {
    void this.#fences.put(server, through);
  }

  vouch(server: string): void {
    this.#vouched.add(server);
    this.#stamp();
  }

  doubt(server: string): void {
    this.#vouched.delete(server);
  }

  async close(): Promise<void> {
    this.#cancel();
    this.#stamp();
    await this.#root.flushed;
    await this.#root.close();
  }

  #belongTo(life: string): void {
    const meta = this.#root.openDB<string, string>({ name: "meta", encoding: "json" });
    if (meta.get("life") === life) return;
    for (const database of [this.#clients, this.#fences, this.#alive]) database.clearSync();
    meta.putSync("life", life);
  }

  #stamp(): void {
    for (const server of this.#vouched) void this.#alive.put(server, this.#clock.monotonic());
  }
}

/** Names this boot of the machine (Linux); "" where it cannot be told. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}
