/**
 * What this process knows of the requests of one server, on disk at the end of each turn: see RequestRecord in hub/ports.ts.
 *
 * Three files, named after the server. `requests-NAME.log`: of this process, or of this link. `requests-NAME.previous`: of those
 * before it, until everything that follows from it is decided; a process that is killed before that leaves it to the next one,
 * which joins its own predecessor's log to it. `orphans-NAME.json`: connections that nobody could decide about yet.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Orphan, PreviousRequests, RequestRecord } from "../hub/request-record.js";
import { type Entry, OPERATION, RequestLog, readEntries, replaceFile, writeEntries } from "./request-log.js";

/** The most ids of each set, because strangers can grow them: 65,536 is all that one Mongrel2 can have open. */
export const MAX_IDS = 65_536;

export interface RequestRecordOptions {
  /** Where the files are; undefined = nothing is kept on disk. */
  readonly folder: string | undefined;
  readonly server: string;
  readonly boot: string;
  readonly monotonic: () => number;
  /** Whether the process before this one ended without losing a request. */
  readonly cleanStop: boolean;
  /** A write to this file failed; undefined: one succeeded. */
  readonly wrote: (file: string, error: unknown) => void;
}

interface Facts {
  highest: number;
  /** How many requests of a connection wait for their answers. */
  readonly unanswered: Map<number, number>;
  readonly kept: Set<number>;
}

export class FileRequestRecord implements RequestRecord {
  readonly #options: RequestRecordOptions;
  readonly #log: RequestLog | undefined;
  #facts: Facts = noFacts();
  /** Kept open by earlier processes, and not heard of since. */
  #keptBefore = new Set<number>();
  #connections = 0;
  #previous: PreviousRequests | undefined;
  #orphans: readonly Orphan[];

  constructor(options: RequestRecordOptions) {
    this.#options = options;
    const { folder, server, boot, monotonic } = options;
    this.#orphans = this.#readOrphans();
    if (folder === undefined) return;
    this.#inherit();
    const path = join(folder, `requests-${server}.log`);
    const wrote = (error: unknown) => options.wrote(path, error);
    this.#log = new RequestLog({ path, boot, monotonic, wrote, snapshot: () => this.#entries() });
    this.#log.rewrite();
  }

  get highest(): number {
    return this.#facts.highest;
  }

  get connections(): number {
    return this.#connections;
  }

  get previous(): PreviousRequests | undefined {
    return this.#previous;
  }

  get orphans(): readonly Orphan[] {
    return this.#orphans;
  }

  read(id: number): void {
    const { unanswered, kept } = this.#facts;
    const waiting = unanswered.get(id) ?? 0;
    if (waiting === 0) {
      if (!kept.delete(id)) this.#connections++;
      this.#keptBefore.delete(id);
      if (unanswered.size >= MAX_IDS) this.#dropOldest(unanswered);
    }
    unanswered.set(id, waiting + 1);
    if (id > this.#facts.highest) this.#facts.highest = id;
    this.#log?.append(OPERATION.read, id);
  }

  answered(id: number, isKept: boolean): void {
    const { unanswered, kept } = this.#facts;
    const waiting = unanswered.get(id);
    if (waiting === undefined) return;
    if (waiting > 1) unanswered.set(id, waiting - 1);
    else unanswered.delete(id);
    if (isKept && waiting === 1) {
      if (kept.size >= MAX_IDS) this.#dropOldest(kept);
      kept.add(id);
    }
    this.#log?.append(isKept ? OPERATION.kept : OPERATION.answered, id);
  }

  ended(id: number): void {
    const { unanswered, kept } = this.#facts;
    const wasKnown = unanswered.delete(id);
    if (kept.delete(id) || this.#keptBefore.delete(id) || wasKnown) this.#log?.append(OPERATION.ended, id);
  }

  /** The client store has the clients of these ids on disk, or none any more: the next process finds them there. */
  recorded(ids: readonly number[]): void {
    for (const id of ids) if (this.#facts.unanswered.delete(id)) this.#log?.append(OPERATION.ended, id);
  }

  has(id: number): boolean {
    return this.#facts.unanswered.has(id) || this.#facts.kept.has(id);
  }

  isUnanswered(id: number): boolean {
    return this.#facts.unanswered.has(id);
  }

  keepOrphans(orphans: readonly Orphan[]): void {
    if (orphans.length === 0 && this.#orphans.length === 0) return;
    this.#orphans = orphans;
    const { boot } = this.#options;
    this.#replace("json", (path) => replaceFile(path, JSON.stringify({ boot, orphans })));
  }

  previousDecided(): void {
    this.#previous = undefined;
    this.#replace("previous", (path) => rmSync(path, { force: true }));
  }

  linkLost(): void {
    const { highest, unanswered, kept } = this.#facts;
    const lost = { highest, unanswered: new Set(unanswered.keys()), kept: new Set([...this.#keptBefore, ...kept]) };
    this.#setPrevious(joined(this.#previous, { ...lost, cleanStop: false }));
    this.#keptBefore = newest(lost.kept);
    this.#begin(highest);
  }

  reset(): void {
    this.#keptBefore = new Set();
    this.#begin(0);
    this.previousDecided();
    this.keepOrphans([]);
  }

  /** Tries again what could not be written. */
  retry(): void {
    this.#log?.retry();
  }

  /** Makes the files again that somebody has removed. */
  rewriteIfGone(): void {
    const { folder } = this.#options;
    if (folder === undefined) return;
    if (!existsSync(this.#path(folder, "log"))) this.#log?.rewrite();
    const { previous } = this;
    if (previous && !previous.cleanStop && !existsSync(this.#path(folder, "previous"))) this.#setPrevious(previous);
    if (this.#orphans.length > 0 && !existsSync(this.#path(folder, "json"))) this.keepOrphans(this.#orphans);
  }

  close(): void {
    this.#log?.close();
  }

  #begin(highest: number): void {
    this.#facts = { ...noFacts(), highest };
    this.#connections = 0;
    this.#log?.rewrite();
  }

  /** What the process before this one has left, joined to what it had found itself and not decided. */
  #inherit(): void {
    const { cleanStop } = this.#options;
    const last = this.#read("log");
    const before = this.#read("previous");
    if (last) this.#facts.highest = last.highest;
    if (last) this.#keptBefore = newest(last.kept);
    const found = last && { ...last, unanswered: cleanStop ? new Set<number>() : last.unanswered, cleanStop };
    const previous = before ? joined({ ...before, cleanStop: false }, found) : found;
    if (previous && !previous.cleanStop) this.#setPrevious(previous);
    else this.#previous = previous;
  }

  #setPrevious(previous: PreviousRequests): void {
    this.#previous = previous;
    const { boot } = this.#options;
    this.#replace("previous", (path) => writeEntries(path, boot, entriesOf(previous)));
  }

  #read(kind: "log" | "previous"): Omit<PreviousRequests, "cleanStop"> | undefined {
    const { folder, boot } = this.#options;
    const entries = folder === undefined ? undefined : readEntries(this.#path(folder, kind), boot);
    return entries && replay(entries);
  }

  #readOrphans(): readonly Orphan[] {
    const { folder, boot } = this.#options;
    if (folder === undefined) return [];
    try {
      const stored = JSON.parse(readFileSync(this.#path(folder, "json"), "utf8"));
      return stored.boot === boot && Array.isArray(stored.orphans) ? stored.orphans : [];
    } catch {
      return []; // none, or written by something else: there is nothing to take over
    }
  }

  #path(folder: string, kind: "log" | "previous" | "json"): string {
    const { server } = this.#options;
    return join(folder, kind === "json" ? `orphans-${server}.json` : `requests-${server}.${kind}`);
  }

  #replace(kind: "previous" | "json", write: (path: string) => void): void {
    const { folder, wrote } = this.#options;
    if (folder === undefined) return;
    const path = this.#path(folder, kind);
    try {
      write(path);
      wrote(path, undefined);
    } catch (error) {
      wrote(path, error);
    }
  }

  #dropOldest(ids: Map<number, number> | Set<number>): void {
    const [oldest] = ids.keys();
    if (oldest === undefined) return;
    ids.delete(oldest);
    this.#log?.append(OPERATION.ended, oldest);
  }

  *#entries(): Iterable<Entry> {
    const { highest, unanswered, kept } = this.#facts;
    yield [OPERATION.highest, highest];
    for (const id of this.#keptBefore) yield [OPERATION.keptBefore, id];
    for (const id of kept) yield [OPERATION.keptBefore, id];
    for (const [id, waiting] of unanswered) for (let n = 0; n < waiting; n++) yield [OPERATION.read, id];
  }
}

const newest = (ids: ReadonlySet<number>): Set<number> => new Set([...ids].slice(-MAX_IDS));

const noFacts = (): Facts => ({ highest: 0, unanswered: new Map(), kept: new Set() });

function* entriesOf({ highest, unanswered, kept }: PreviousRequests): Iterable<Entry> {
  yield [OPERATION.highest, highest];
  for (const id of kept) yield [OPERATION.keptBefore, id];
  for (const id of unanswered) yield [OPERATION.read, id];
}

/** Two in a row, the first not decided: what the first may have lost lies above its highest id. */
function joined(first: PreviousRequests | undefined, second: PreviousRequests | undefined): PreviousRequests {
  if (!first || !second) return (first ?? second) as PreviousRequests;
  return {
    highest: Math.min(first.highest, second.highest),
    unanswered: new Set([...first.unanswered, ...second.unanswered]),
    kept: new Set([...first.kept, ...second.kept]),
    cleanStop: first.cleanStop && second.cleanStop,
  };
}

function replay(entries: readonly Entry[]): Omit<PreviousRequests, "cleanStop"> {
  const waiting = new Map<number, number>();
  const kept = new Set<number>();
  let highest = 0;
  for (const [operation, id] of entries) {
    const requests = waiting.get(id) ?? 0;
    if (operation === OPERATION.read) {
      waiting.set(id, requests + 1);
      kept.delete(id);
      highest = Math.max(highest, id);
    } else if (operation === OPERATION.highest) highest = Math.max(highest, id);
    else if (operation === OPERATION.keptBefore) kept.add(id);
    else if (operation === OPERATION.ended) {
      waiting.delete(id);
      kept.delete(id);
    } else if (requests > 1) waiting.set(id, requests - 1);
    else {
      waiting.delete(id);
      if (operation === OPERATION.kept) kept.add(id);
    }
  }
  return { highest, unanswered: new Set(waiting.keys()), kept };
}
