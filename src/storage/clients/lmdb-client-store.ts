/**
 * The client store: a small record for each client in LMDB, beside the history, and for each server a checkpoint (checkpoints.ts) and
 * its requests (file-request-record.ts). Changes are written at the end of each turn of the event loop, clients before checkpoints: an
 * acknowledged offset, which counts for all clients that a fence covers, is never written without the changes of clients before it.
 * Without a checkpoint to write, the changes of COMMIT_INTERVAL_MS share a transaction.
 *
 * The record survives a kill of the process, not a crash of the machine (noSync): a record of another boot is emptied. It does not
 * depend on the history: a client with an offset of another epoch stays, and counts as having received nothing of the present one.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ClientStore, PreviousClients, StoredClient } from "../../delivery/client-store.js";
import type { RequestRecord } from "../../delivery/request-record.js";
import type { Cancel, Clock } from "../../util/clock.js";
import { Coalescer } from "../../util/coalescer.js";
import { type Checkpoint, Checkpoints } from "./checkpoints.js";
import {
  type ClientFiles,
  type ClientRow,
  closeClientFiles,
  commitPages,
  openClientFiles,
  recreateClientFiles,
  storedClients,
  writeLabel,
} from "./client-files.js";
import { PendingWrites } from "./pending-writes.js";
import { RequestRecords } from "./request-records.js";

/** Accuracy of the recorded time of an unclean shutdown. */
const ALIVE_INTERVAL_MS = 500;
/** How often the store looks for removed files. */
const FILE_CHECK_INTERVAL_MS = 2000;

/**
 * Interval of commits of clients without a checkpoint. After a kill, the next process closes the connections of unwritten clients, which
 * reconnect. (In a storm of connects, a transaction for each turn took a twentieth of the daemon's CPU time.)
 */
const COMMIT_INTERVAL_MS = 50;

export interface LmdbClientStoreOptions {
  /** Must exist and belong to this process alone. */
  readonly folder: string;
  /** The epoch of the history. */
  readonly epoch: string;
  /** Identifies this boot of the machine. */
  readonly boot: string;
  readonly clock: Clock;
  /** Called after each write to a file; `error` is undefined when it succeeded. */
  readonly onWrite: (file: string, error: unknown) => void;
  /** Called when the clients of a server cannot be read. */
  readonly onUnreadable: (error: unknown) => void;
}

export class LmdbClientStore implements ClientStore {
  readonly #options: LmdbClientStoreOptions;
  readonly #path: string;
  readonly #checkpointsPath: string;
  #files: ClientFiles;
  #checkpoints: Checkpoints;
  #epoch: string;
  #generation: number;
  /** Whether there was a record of this boot when the store was opened. */
  readonly #existedBefore: boolean;
  /** Whether the file has the boot, epoch and generation written. */
  #isLabelled: boolean;
  readonly #requestRecords: RequestRecords;
  /** Uncommitted changes by server and id; the last one counts; undefined = removed. */
  readonly #changedClients = new Map<string, Map<number, ClientRow | undefined>>();
  readonly #changedCheckpoints = new Map<string, Partial<Checkpoint>>();
  #isCommitScheduled = false;
  readonly #pendingWrites = new PendingWrites();
  readonly #coalescer: Coalescer;
  /** No commit before this time, after a failed one. Monotonic, milliseconds. */
  #retryAt = Number.NEGATIVE_INFINITY;
  readonly #trusted = new Set<string>();
  readonly #timers: readonly Cancel[];

  /** Throws UnreadableClientRecord, or file-system errors when nothing can be opened. */
  constructor(options: LmdbClientStoreOptions) {
    this.#options = options;
    const { folder, epoch, boot, clock } = options;
    this.#path = join(folder, "clients.mdb");
    this.#checkpointsPath = join(folder, "clients.marks");
    this.#files = openClientFiles(this.#path);
    const { meta } = this.#files;
    const generation = Number(meta.get("generation") ?? 0);
    this.#existedBefore = meta.get("boot") === boot;
    this.#isLabelled = this.#existedBefore && meta.get("epoch") === epoch;
    // An empty record begins with generation 0, which is not written with each client.
    this.#generation = this.#isLabelled ? generation : this.#existedBefore ? generation + 1 : 0;
    this.#epoch = epoch;
    this.#checkpoints = new Checkpoints(this.#checkpointsPath, boot, this.#generation);
    this.#requestRecords = new RequestRecords(clock, (server) => ({
      ...{ folder, server, boot, onWrite: options.onWrite },
      monotonic: () => clock.monotonic(),
      cleanStop: this.#checkpoints.stoppedCleanly(server),
    }));
    this.#coalescer = new Coalescer(clock, COMMIT_INTERVAL_MS, () => this.#commit());
    this.#timers = [
      clock.every(ALIVE_INTERVAL_MS, () => this.#recordAlive()),
      clock.every(FILE_CHECK_INTERVAL_MS, () => this.#checkFiles()),
    ];
    this.#commit();
    this.#writeCheckpoints([]);
  }

  previousClients(server: string): PreviousClients {
    const { through, aliveAt } = this.#checkpoints.get(server);
    const cleanStop = this.#checkpoints.stoppedCleanly(server);
    try {
      const clients = this.#existedBefore
        ? [...storedClients(this.#files, server, { through, generation: this.#generation })]
        : [];
      const isMissing = !this.#existedBefore || (clients.length === 0 && !this.#checkpoints.has(server));
      return { clients, aliveAt, cleanStop, isMissing };
    } catch (error) {
      this.#options.onUnreadable(error);
      return { clients: [], aliveAt, cleanStop, isMissing: true };
    }
  }

  requests(server: string): RequestRecord {
    return this.#requestRecords.of(server);
  }

  put(server: string, client: StoredClient): void {
    const generation = this.#generation;
    this.#changeClient(server, client.id, generation === 0 ? client : { ...client, generation });
  }

  remove(server: string, id: number): void {
    this.#changeClient(server, id);
  }

  written(): Promise<void> {
    this.#scheduleCommit();
    return this.#pendingWrites.wait();
  }

  fenced(server: string, through: number): void {
    this.#changeCheckpoint(server, { through });
  }

  markTrusted(server: string): void {
    this.#trusted.add(server);
    this.#recordAlive();
  }

  markUntrusted(server: string): void {
    this.#trusted.delete(server);
  }

  stoppedCleanly(server: string): void {
    this.#changeCheckpoint(server, { cleanStop: true });
  }

  renew(epoch: string): void {
    for (const [server, { aliveAt }] of this.#changedCheckpoints) {
      if (aliveAt === undefined) this.#changedCheckpoints.delete(server);
      else this.#changedCheckpoints.set(server, { aliveAt });
    }
    this.#epoch = epoch;
    this.#generation++;
    this.#isLabelled = false;
    this.#commit();
    try {
      this.#checkpoints.startGeneration(this.#generation);
    } catch (error) {
      this.#options.onWrite(this.#checkpointsPath, error); // written with the next checkpoint
    }
  }

  async close(): Promise<void> {
    for (const cancel of this.#timers) cancel();
    this.#coalescer.stop();
    this.#recordAlive();
    this.#retryAt = Number.NEGATIVE_INFINITY;
    this.#commit();
    for (const record of this.#requestRecords) record.close();
    this.#checkpoints.close();
    await closeClientFiles(this.#files);
  }

  #changeClient(server: string, id: number, client?: ClientRow): void {
    const changed = this.#changedClients.get(server);
    if (changed) changed.set(id, client);
    else this.#changedClients.set(server, new Map([[id, client]]));
    this.#coalescer.request();
  }

  #changeCheckpoint(server: string, change: Partial<Checkpoint>): void {
    this.#changedCheckpoints.set(server, { ...this.#changedCheckpoints.get(server), ...change });
    this.#scheduleCommit();
  }

  #scheduleCommit(): void {
    if (this.#isCommitScheduled) return;
    this.#isCommitScheduled = true;
    setImmediate(() => {
      this.#isCommitScheduled = false;
      this.#commit();
    });
  }

  #recordAlive(): void {
    const aliveAt = this.#options.clock.monotonic();
    for (const server of this.#trusted) this.#changeCheckpoint(server, { aliveAt });
    for (const record of this.#requestRecords) record.retry();
    if (this.#changedClients.size > 0 || !this.#isLabelled) this.#coalescer.request();
  }

  /** Retried after a failure (disk full): until then stored offsets are too low, and after a kill clients may get events twice. */
  #commit(): void {
    const isUnchanged = this.#changedClients.size + this.#changedCheckpoints.size === 0 && this.#isLabelled;
    if (isUnchanged) this.#pendingWrites.succeeded();
    else if (this.#options.clock.monotonic() < this.#retryAt) this.#pendingWrites.failed();
    else this.#write();
  }

  #write(): void {
    try {
      if (this.#changedClients.size > 0 || !this.#isLabelled) {
        const { root, space } = this.#files;
        space.claim(commitPages(this.#changedClients, space.lastPage()));
        root.transactionSync(() => this.#writeClients());
      }
      this.#isLabelled = true;
      for (const [server, changed] of this.#changedClients) this.#requestRecords.clientsWritten(server, changed.keys());
      this.#changedClients.clear();
      this.#options.onWrite(this.#path, undefined);
      this.#pendingWrites.succeeded();
    } catch (error) {
      this.#retryAt = this.#options.clock.monotonic() + ALIVE_INTERVAL_MS;
      this.#options.onWrite(this.#path, error);
      this.#dropUnwritten();
      this.#pendingWrites.failed(error);
      return;
    }
    if (this.#writeCheckpoints(this.#changedCheckpoints)) this.#changedCheckpoints.clear();
  }

  #writeCheckpoints(changes: Iterable<readonly [string, Partial<Checkpoint>]>): boolean {
    try {
      this.#checkpoints.set(changes);
      this.#options.onWrite(this.#checkpointsPath, undefined);
      return true;
    } catch (error) {
      this.#retryAt = this.#options.clock.monotonic() + ALIVE_INTERVAL_MS;
      this.#options.onWrite(this.#checkpointsPath, error);
      return false;
    }
  }

  #writeClients(): void {
    const { clients } = this.#files;
    if (!this.#isLabelled) {
      writeLabel(this.#files, { boot: this.#options.boot, epoch: this.#epoch, generation: this.#generation });
    }
    for (const [server, changed] of this.#changedClients) {
      for (const [id, client] of changed) {
        if (client) clients.putSync([server, id], client);
        else clients.removeSync([server, id]);
      }
    }
  }

  /** While writes fail, drops clients that connected and left in the meantime. */
  #dropUnwritten(): void {
    for (const [server, changed] of this.#changedClients) {
      for (const [id, client] of changed) {
        if (client || this.#files.clients.doesExist([server, id])) continue;
        changed.delete(id);
        this.#requestRecords.of(server).recorded([id]);
      }
    }
  }

  /** Recreates files, or the folder, that somebody has removed. */
  #checkFiles(): void {
    try {
      mkdirSync(this.#options.folder, { recursive: true });
      if (!existsSync(this.#path)) this.#files = recreateClientFiles(this.#path, this.#files);
      if (!existsSync(this.#checkpointsPath)) this.#checkpoints.reopen(this.#checkpointsPath);
      for (const record of this.#requestRecords) record.rewriteIfGone();
      this.#options.onWrite(this.#options.folder, undefined);
    } catch (error) {
      this.#options.onWrite(this.#options.folder, error);
    }
  }
}
