/**
 * The event store in LMDB, in the data folder beside the history:
 *
 *   log        sequence -> kind u8 | time f64 | JSON
 *   sessions   id -> StoredSession
 *   webhooks   name -> WebhookPosition
 *   meta       "version", "epoch", "floor", "last"
 *
 * Like the history, it survives a kill of the process: transactions are synchronous, one a turn, and the operating system has what they
 * wrote, which it flushes to the disk within seconds.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import type { EventStore, LoggedEvent, StoredSession, WebhookPosition } from "../../client-events/event-store.js";
import type { ClientEventKind } from "../../config/schema.js";
import type { Clock } from "../../util/clock.js";
import { privately } from "../../util/private-files.js";
import { AgeIndex } from "../lmdb/age-index.js";
import { LmdbSpace, lastPageOf } from "../lmdb/lmdb-space.js";

const VERSION = 1;
const KINDS: readonly ClientEventKind[] = ["connect", "adopt", "topics", "disconnect", "gap"];
const HEAD_BYTES = 9;
/** Pages that any transaction may write: paths through five trees, and the list of free pages. */
const BASE_PAGES = 40;
const PAGE_BYTES = 4096;
/** Events removed in one transaction. */
const MAX_TRIMMED_COUNT = 2000;
/** Between two attempts to write, after a failed one. */
const RETRY_INTERVAL_MS = 500;
/** Events that could not be written yet; the oldest beyond them are lost. */
const MAX_UNWRITTEN_COUNT = 10_000;

export interface LmdbEventStoreOptions {
  readonly file: string;
  /** Milliseconds. */
  readonly maxAge: number;
  readonly clock: Clock;
  /** Called after each write; `error` is undefined when it succeeded. */
  readonly onWrite: (error: unknown) => void;
}

export class LmdbEventStore implements EventStore {
  readonly epoch: string;
  readonly #options: LmdbEventStoreOptions;
  readonly #root: RootDatabase;
  readonly #log: Database<Buffer, number>;
  readonly #sessions: Database<StoredSession, string>;
  readonly #webhooks: Database<WebhookPosition, string>;
  readonly #meta: Database<string | number, string>;
  readonly #space: LmdbSpace;
  readonly #ages: AgeIndex;
  readonly #positions = new Map<string, WebhookPosition>();
  #last: number;
  #floor: number;
  /** Events up to this one are in the file. */
  #written: number;
  /** Events up to this one are to be removed from it. */
  #trimThrough = 0;
  // Changes that are not written yet.
  #unwritten: LoggedEvent[] = [];
  readonly #changedSessions = new Map<string, StoredSession | undefined>();
  readonly #changedWebhooks = new Set<string>();
  #isScheduled = false;
  #isClosed = false;
  #retryAt = Number.NEGATIVE_INFINITY;

  /** The caller holds the folder's lock. Throws errors of LMDB and of the system. */
  constructor(options: LmdbEventStoreOptions) {
    this.#options = options;
    const { file: path, clock, maxAge } = options;
    const isNew = !existsSync(path);
    const settings = { path, noSync: true, noMemInit: true, maxDbs: 4, overlappingSync: false };
    this.#root = privately(() => open(settings));
    this.#space = new LmdbSpace({ file: path, lastPage: () => lastPageOf(this.#root) });
    if (isNew) this.#space.claim(BASE_PAGES);
    this.#log = this.#root.openDB({ name: "log", encoding: "binary" });
    this.#sessions = this.#root.openDB({ name: "sessions", encoding: "json" });
    this.#webhooks = this.#root.openDB({ name: "webhooks", encoding: "json" });
    this.#meta = this.#root.openDB({ name: "meta", encoding: "json" });
    this.epoch = this.#readOrCreateEpoch();
    this.#floor = Number(this.#meta.get("floor") ?? 0);
    this.#ages = new AgeIndex(maxAge, clock.monotonic());
    this.#last = Math.max(this.#floor, Number(this.#meta.get("last") ?? 0));
    for (const { key, value } of this.#log.getRange({})) {
      if (key <= this.#floor) this.#trimThrough = this.#floor;
      this.#last = Math.max(this.#last, key);
      this.#ages.addStored(key, value.readDoubleLE(1));
    }
    this.#written = this.#last;
    for (const { key, value } of this.#webhooks.getRange({})) this.#positions.set(key, value);
  }

  get last(): number {
    return this.#last;
  }

  get floor(): number {
    return this.#floor;
  }

  expiredThrough(): number {
    const { clock } = this.#options;
    return this.#ages.expiredOffset(clock.monotonic(), clock.now());
  }

  append(event: Omit<LoggedEvent, "sequence">): number {
    const sequence = ++this.#last;
    this.#unwritten.push({ ...event, sequence });
    this.#ages.sample(sequence, this.#options.clock.monotonic());
    // Readers find the hole in the sequence.
    if (this.#unwritten.length > MAX_UNWRITTEN_COUNT) this.#unwritten.shift();
    this.#schedule();
    return sequence;
  }

  *read(after: number): Iterable<LoggedEvent> {
    const first = Math.max(after, this.#floor) + 1;
    // A failed write has reported a truncated file. Nothing can be sent until the next start, and no timer may throw.
    if (!this.#space.isTruncated)
      for (const { key, value } of this.#log.getRange({ start: first })) yield decoded(key, value);
    for (const event of this.#unwritten) if (event.sequence >= first && event.sequence > this.#written) yield event;
  }

  trim(through: number): void {
    if (through <= this.#floor) return;
    this.#floor = Math.min(through, this.#last);
    this.#trimThrough = this.#floor;
    this.#schedule();
  }

  *storedSessions(): Iterable<StoredSession> {
    for (const { value } of this.#sessions.getRange({})) yield value;
  }

  putSession(session: StoredSession): void {
    this.#changedSessions.set(session.id, session);
    this.#schedule();
  }

  removeSession(id: string): void {
    const isUnwritten = this.#changedSessions.get(id) !== undefined && !this.#isSessionInFile(id);
    // While writes fail, visitors who come and go leave nothing in memory.
    if (isUnwritten) this.#changedSessions.delete(id);
    else this.#changedSessions.set(id, undefined);
    this.#schedule();
  }

  #isSessionInFile(id: string): boolean {
    return !this.#space.isTruncated && this.#sessions.doesExist(id);
  }

  position(webhook: string): WebhookPosition | undefined {
    return this.#positions.get(webhook);
  }

  setPosition(webhook: string, position: WebhookPosition): void {
    this.#positions.set(webhook, position);
    this.#changedWebhooks.add(webhook);
    this.#schedule();
  }

  keepPositions(webhooks: readonly string[]): void {
    for (const name of this.#positions.keys()) {
      if (webhooks.includes(name)) continue;
      this.#positions.delete(name);
      this.#changedWebhooks.add(name);
    }
    this.#schedule();
  }

  commit(): boolean {
    const { clock, onWrite } = this.#options;
    if (!this.#isChanged) return true;
    if (clock.monotonic() < this.#retryAt) {
      this.#scheduleRetry();
      return false;
    }
    try {
      const isTrimmed = this.#write();
      onWrite(undefined);
      if (!isTrimmed) this.#schedule();
      return true;
    } catch (error) {
      this.#retryAt = clock.monotonic() + RETRY_INTERVAL_MS;
      onWrite(error);
      this.#scheduleRetry();
      return false;
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#retryAt = Number.NEGATIVE_INFINITY;
    this.commit();
    this.#isClosed = true;
    this.#space.close();
    await this.#root.close();
  }

  get #isChanged(): boolean {
    const { size } = this.#changedSessions;
    return this.#unwritten.length + size + this.#changedWebhooks.size + this.#trimThrough > 0;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#commitScheduled);
  }

  #scheduleRetry(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.clock.after(RETRY_INTERVAL_MS, this.#commitScheduled);
  }

  readonly #commitScheduled = (): void => {
    this.#isScheduled = false;
    if (!this.#isClosed) this.commit();
  };

  /** Returns whether everything that is to be trimmed is. */
  #write(): boolean {
    this.#space.claim(this.#pages());
    const isTrimmed = this.#root.transactionSync(() => {
      for (const { sequence, kind, time, json } of this.#unwritten)
        this.#log.putSync(sequence, encoded(kind, time, json));
      for (const [id, session] of this.#changedSessions) {
        if (session) this.#sessions.putSync(id, session);
        else this.#sessions.removeSync(id);
      }
      for (const name of this.#changedWebhooks) {
        const position = this.#positions.get(name);
        if (position) this.#webhooks.putSync(name, position);
        else this.#webhooks.removeSync(name);
      }
      this.#meta.putSync("last", this.#last);
      return this.#trim();
    });
    // Otherwise reads of this turn see the file as it was before.
    this.#root.resetReadTxn();
    this.#unwritten = [];
    this.#written = this.#last;
    this.#changedSessions.clear();
    this.#changedWebhooks.clear();
    if (isTrimmed) this.#trimThrough = 0;
    return isTrimmed;
  }

  /** Part of a transaction. */
  #trim(): boolean {
    if (this.#trimThrough === 0) return true;
    const keys = [...this.#log.getKeys({ end: this.#trimThrough + 1, limit: MAX_TRIMMED_COUNT })];
    for (const key of keys) this.#log.removeSync(key);
    this.#meta.putSync("floor", this.#floor);
    return keys.length < MAX_TRIMMED_COUNT;
  }

  /** Upper bound of the pages that a transaction writes. */
  #pages(): number {
    const bytes = this.#unwritten.reduce((sum, { json }) => sum + 3 * json.length + HEAD_BYTES, 0);
    let sessionBytes = 0;
    for (const session of this.#changedSessions.values()) sessionBytes += 600 + 3 * (session?.left?.json.length ?? 0);
    // Ids of sessions are random: each may be in another page.
    const scattered = Math.min(this.#changedSessions.size, this.#space.lastPage());
    const trimmed = this.#trimThrough > 0 ? MAX_TRIMMED_COUNT / 4 : 0;
    return BASE_PAGES + scattered + trimmed + Math.ceil((2 * (bytes + sessionBytes)) / PAGE_BYTES);
  }

  /** Throws an Error for data in another format. */
  #readOrCreateEpoch(): string {
    const [version, epoch] = [this.#meta.get("version"), this.#meta.get("epoch")];
    if (version === VERSION && typeof epoch === "string") return epoch;
    if (version !== undefined) throw new Error(`its format is ${version}, this version knows ${VERSION}`);
    const made = randomBytes(6).toString("hex");
    this.#root.transactionSync(() => {
      this.#meta.putSync("version", VERSION);
      this.#meta.putSync("epoch", made);
    });
    return made;
  }
}

function encoded(kind: ClientEventKind, time: number, json: string): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + Buffer.byteLength(json));
  bytes[0] = KINDS.indexOf(kind);
  bytes.writeDoubleLE(time, 1);
  bytes.write(json, HEAD_BYTES);
  return bytes;
}

function decoded(sequence: number, value: Buffer): LoggedEvent {
  const kind = KINDS[value[0] ?? 0] ?? "connect";
  return { sequence, kind, time: value.readDoubleLE(1), json: value.toString("utf8", HEAD_BYTES) };
}
