/**
 * The client store: a small record for each client in LMDB, beside the history, and for each server two marks (checkpoints.ts) and the
 * requests under way (request-record.ts). What a turn of the event loop says is kept when that turn is over, clients before marks:
 * so a fenced position, which counts for all settled clients, is never kept without what was said of clients before it. Where
 * clients come and go in turn after turn, and there is no mark, those of GATHER are kept together.
 *
 * Durability is against the end of the process, not of the machine (noSync): a record of another boot is emptied. It does not depend
 * on the history: a client whose position is of another epoch is kept and has seen nothing of the present one (its generation tells).
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
  label,
  openClientFiles,
  pagesOf,
  recreateClientFiles,
  storedClients,
} from "./client-files.js";
import { FileRequestRecord } from "./file-request-record.js";

/** How exactly the time of a sudden death is known, milliseconds. */
const ALIVE_EVERY = 500;
/** How soon it is noticed that somebody has removed the files. */
const FILE_CHECK_INTERVAL_MS = 2000;

/**
 * Between two commits of clients alone, milliseconds. Who is not kept when the process is killed is cut by the next one, and comes
 * back by itself. (In a storm of connects a transaction for each turn was a twentieth of the daemon's processor time.)
 */
const GATHER = 50;

/**
 * From the commit of a client to its head's being sent for certain: heads of streams that open together wait some milliseconds for
 * each other (mongrel2/stream-head-batcher.ts). Killed in between, the next process would go on with a stream that never began.
 */
const HEAD_SENT_MS = 50;

export interface LmdbClientStoreOptions {
  /** Must exist and belong to this process alone. */
  readonly folder: string;
  /** Of the history. */
  readonly epoch: string;
  /** Names this boot of the machine. */
  readonly boot: string;
  readonly clock: Clock;
  /** Told of each write; `error` is undefined when it succeeded. */
  readonly wrote: (file: string, error: unknown) => void;
  /** Told of clients that cannot be read. */
  readonly unreadable: (error: unknown) => void;
}

export class LmdbClientStore implements ClientStore {
  readonly #options: LmdbClientStoreOptions;
  readonly #path: string;
  readonly #marksPath: string;
  #files: ClientFiles;
  #marks: Checkpoints;
  #epoch: string;
  #generation: number;
  /** Whether there was a record of this boot when the store was opened. */
  readonly #wasThere: boolean;
  /** Whether the file says which boot, epoch and generation it is of. */
  #isLabelled: boolean;
  readonly #requests = new Map<string, FileRequestRecord>();
  /** What is to be committed, by server and id: the last one counts; undefined = removed. */
  readonly #changed = new Map<string, Map<number, ClientRow | undefined>>();
  readonly #marked = new Map<string, Partial<Checkpoint>>();
  #isMarking = false;
  readonly #pace: Coalescer;
  /** After a commit that failed none is tried before this, monotonic. */
  #rest = Number.NEGATIVE_INFINITY;
  readonly #vouched = new Set<string>();
  readonly #timers: readonly Cancel[];

  /** Throws UnreadableRecord, or what the file system throws where nothing can be opened. */
  constructor(options: LmdbClientStoreOptions) {
    this.#options = options;
    const { folder, epoch, boot, clock } = options;
    this.#path = join(folder, "clients.mdb");
    this.#marksPath = join(folder, "clients.marks");
    this.#files = openClientFiles(this.#path);
    const { meta } = this.#files;
    const generation = Number(meta.get("generation") ?? 0);
    this.#wasThere = meta.get("boot") === boot;
    this.#isLabelled = this.#wasThere && meta.get("epoch") === epoch;
    // A record that is empty, or will be emptied, begins with generation 0, which is not written with each client.
    this.#generation = this.#isLabelled ? generation : this.#wasThere ? generation + 1 : 0;
    this.#epoch = epoch;
    this.#marks = new Checkpoints(this.#marksPath, boot, this.#generation);
    this.#pace = new Coalescer(clock, GATHER, () => this.#commit());
    this.#timers = [
      clock.every(ALIVE_EVERY, () => this.#stamp()),
      clock.every(FILE_CHECK_INTERVAL_MS, () => this.#checkFiles()),
    ];
    this.#commit();
    this.#writeMarks([]);
  }

  previousClients(server: string): PreviousClients {
    const { through, aliveAt } = this.#marks.get(server);
    const cleanStop = this.#marks.stoppedCleanly(server);
    try {
      const clients = this.#wasThere
        ? [...storedClients(this.#files, server, { through, generation: this.#generation })]
        : [];
      const isMissing = !this.#wasThere || (clients.length === 0 && !this.#marks.has(server));
      return { clients, aliveAt, cleanStop, isMissing };
    } catch (error) {
      this.#options.unreadable(error);
      return { clients: [], aliveAt, cleanStop, isMissing: true };
    }
  }

  requests(server: string): RequestRecord {
    return this.#requestsOf(server);
  }

  #requestsOf(server: string): FileRequestRecord {
    const known = this.#requests.get(server);
    if (known) return known;
    const { folder, boot, clock, wrote } = this.#options;
    const cleanStop = this.#marks.stoppedCleanly(server);
    const record = new FileRequestRecord({
      folder,
      server,
      boot,
      monotonic: () => clock.monotonic(),
      cleanStop,
      wrote,
    });
    this.#requests.set(server, record);
    return record;
  }

  put(server: string, client: StoredClient): void {
    const generation = this.#generation;
    this.#change(server, client.id, generation === 0 ? client : { ...client, generation });
  }

  remove(server: string, id: number): void {
    this.#change(server, id);
  }

  fenced(server: string, through: number): void {
    this.#mark(server, { through });
  }

  markTrusted(server: string): void {
    this.#vouched.add(server);
    this.#stamp();
  }

  markUntrusted(server: string): void {
    this.#vouched.delete(server);
  }

  stoppedCleanly(server: string): void {
    this.#mark(server, { cleanStop: true });
  }

  renew(epoch: string): void {
    for (const [server, { aliveAt }] of this.#marked) {
      if (aliveAt === undefined) this.#marked.delete(server);
      else this.#marked.set(server, { aliveAt });
    }
    this.#epoch = epoch;
    this.#generation++;
    this.#isLabelled = false;
    this.#commit();
    try {
      this.#marks.renew(this.#generation);
    } catch (error) {
      this.#options.wrote(this.#marksPath, error); // written with the next mark
    }
  }

  async close(): Promise<void> {
    for (const cancel of this.#timers) cancel();
    this.#pace.stop();
    this.#stamp();
    this.#rest = Number.NEGATIVE_INFINITY;
    this.#commit();
    for (const record of this.#requests.values()) record.close();
    this.#marks.close();
    await closeClientFiles(this.#files);
  }

  #change(server: string, id: number, client?: ClientRow): void {
    const changed = this.#changed.get(server);
    if (changed) changed.set(id, client);
    else this.#changed.set(server, new Map([[id, client]]));
    this.#pace.request();
  }

  #mark(server: string, change: Partial<Checkpoint>): void {
    this.#marked.set(server, { ...this.#marked.get(server), ...change });
    if (this.#isMarking) return;
    this.#isMarking = true;
    setImmediate(() => {
      this.#isMarking = false;
      this.#commit();
    });
  }

  #stamp(): void {
    const aliveAt = this.#options.clock.monotonic();
    for (const server of this.#vouched) this.#mark(server, { aliveAt });
    for (const record of this.#requests.values()) record.retry();
    if (this.#changed.size > 0 || !this.#isLabelled) this.#pace.request();
  }

  /** Where this fails (the disk is full) it is tried again: until then positions stay as they are, and what comes later may come twice. */
  #commit(): void {
    if (this.#changed.size + this.#marked.size === 0 && this.#isLabelled) return;
    if (this.#options.clock.monotonic() < this.#rest) return;
    try {
      if (this.#changed.size > 0 || !this.#isLabelled) {
        const { root, space, lastPage } = this.#files;
        space.claim(pagesOf(this.#changed, lastPage()));
        root.transactionSync(() => this.#write());
      }
      this.#isLabelled = true;
      for (const [server, changed] of this.#changed) this.#recorded(server, changed.keys());
      this.#changed.clear();
      this.#options.wrote(this.#path, undefined);
    } catch (error) {
      this.#rest = this.#options.clock.monotonic() + ALIVE_EVERY;
      this.#options.wrote(this.#path, error);
      this.#dropUnwritten();
      return;
    }
    if (this.#writeMarks(this.#marked)) this.#marked.clear();
  }

  /** The requests of new clients count as answered, once their heads have been sent. */
  #recorded(server: string, ids: Iterable<number>): void {
    const record = this.#requestsOf(server);
    const opened = record.unansweredOf(ids);
    if (opened.length > 0) this.#options.clock.after(HEAD_SENT_MS, () => record.recorded(opened));
  }

  #writeMarks(changes: Iterable<readonly [string, Partial<Checkpoint>]>): boolean {
    try {
      this.#marks.set(changes);
      this.#options.wrote(this.#marksPath, undefined);
      return true;
    } catch (error) {
      this.#rest = this.#options.clock.monotonic() + ALIVE_EVERY;
      this.#options.wrote(this.#marksPath, error);
      return false;
    }
  }

  #write(): void {
    const { clients } = this.#files;
    if (!this.#isLabelled) {
      label(this.#files, { boot: this.#options.boot, epoch: this.#epoch, generation: this.#generation });
    }
    for (const [server, changed] of this.#changed) {
      for (const [id, client] of changed) {
        if (client) clients.putSync([server, id], client);
        else clients.removeSync([server, id]);
      }
    }
  }

  /** While nothing can be written, those who came and went in the meantime do not pile up. */
  #dropUnwritten(): void {
    for (const [server, changed] of this.#changed) {
      for (const [id, client] of changed) {
        if (client || this.#files.clients.doesExist([server, id])) continue;
        changed.delete(id);
        this.#requestsOf(server).recorded([id]);
      }
    }
  }

  /** Somebody has removed the files, or the folder: they are made again, with all that is known. */
  #checkFiles(): void {
    try {
      mkdirSync(this.#options.folder, { recursive: true });
      if (!existsSync(this.#path)) this.#files = recreateClientFiles(this.#path, this.#files);
      if (!existsSync(this.#marksPath)) this.#marks.reopen(this.#marksPath);
      for (const record of this.#requests.values()) record.rewriteIfGone();
      this.#options.wrote(this.#options.folder, undefined);
    } catch (error) {
      this.#options.wrote(this.#options.folder, error);
    }
  }
}
