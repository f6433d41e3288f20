/**
 * The requests of one server that this process has read, written to disk at the end of each turn of the event loop (RequestRecord).
 *
 * Three files for each server. `requests-NAME.log`: requests of this process, or of this link. `requests-NAME.previous`: requests of
 * earlier ones, until the adoption has decided about each connection; after a kill the next process merges its predecessor's log
 * into it. `orphans-NAME.json`: connections that are not decided yet.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Orphan, PreviousRequests, RequestRecord } from "../../delivery/request-record.js";
import { IdCounts } from "../../util/id-counts.js";
import { type LogEntry, OPERATION, RequestLog, readEntries, replaceFile, writeEntries } from "./request-log.js";

/** Limit of each set of ids, because clients can grow them. One Mongrel2 has at most 65,536 open connections. */
export const MAX_IDS = 65_536;

export interface RequestRecordOptions {
  /** Folder of the files; undefined = nothing is written to disk. */
  readonly folder: string | undefined;
  readonly server: string;
  readonly boot: string;
  readonly monotonic: () => number;
  /** Whether the previous process stopped without losing a request. */
  readonly cleanStop: boolean;
  /** Called after each write to a file with its error; undefined = it succeeded. */
  readonly onWrite: (file: string, error: unknown) => void;
}

export class FileRequestRecord implements RequestRecord {
  readonly #options: RequestRecordOptions;
  readonly #log: RequestLog | undefined;
  #highestId = 0;
  /** Unanswered requests of each connection. */
  readonly #unanswered = new IdCounts(MAX_IDS);
  readonly #keptOpen = new Set<number>();
  /** Connections that earlier processes kept open, without a request since. */
  #keptBefore = new Set<number>();
  #connectionCount = 0;
  #previous: PreviousRequests | undefined;
  #orphans: readonly Orphan[];

  constructor(options: RequestRecordOptions) {
    this.#options = options;
    const { folder, server, boot, monotonic } = options;
    this.#orphans = this.#readOrphans();
    if (folder === undefined) return;
    this.#readPrevious();
    const path = join(folder, `requests-${server}.log`);
    const wrote = (error: unknown) => options.onWrite(path, error);
    this.#log = new RequestLog({ path, boot, monotonic, onWrite: wrote, snapshot: () => this.#entries() });
    this.#log.rewrite();
  }

  get highest(): number {
    return this.#highestId;
  }

  get connections(): number {
    return this.#connectionCount;
  }

  get previous(): PreviousRequests | undefined {
    return this.#previous;
  }

  get orphans(): readonly Orphan[] {
    return this.#orphans;
  }

  read(id: number): void {
    if (this.#unanswered.get(id) === 0) this.#readFirst(id);
    const isCounted = this.#unanswered.increment(id);
    if (id > this.#highestId) this.#highestId = id;
    this.#log?.append(isCounted ? OPERATION.read : OPERATION.highest, id);
  }

  #readFirst(id: number): void {
    if (this.#keptOpen.size === 0 || !this.#keptOpen.delete(id)) this.#connectionCount++;
    if (this.#keptBefore.size > 0) this.#keptBefore.delete(id);
  }

  answered(id: number, isKept: boolean): void {
    const unanswered = this.#unanswered.get(id);
    if (unanswered === 0) return;
    this.#unanswered.decrement(id);
    if (isKept && unanswered === 1) this.#keep(id);
    this.#log?.append(isKept ? OPERATION.kept : OPERATION.answered, id);
  }

  #keep(id: number): void {
    const [oldest] = this.#keptOpen;
    if (this.#keptOpen.size >= MAX_IDS && oldest !== undefined) {
      this.#keptOpen.delete(oldest);
      this.#log?.append(OPERATION.ended, oldest);
    }
    this.#keptOpen.add(id);
  }

  ended(id: number): void {
    const wasUnanswered = this.#unanswered.delete(id);
    if (this.#keptOpen.delete(id) || this.#keptBefore.delete(id) || wasUnanswered)
      this.#log?.append(OPERATION.ended, id);
  }

  /** The client store has written, or removed, the clients of these ids: the next process finds them there. */
  recorded(ids: readonly number[]): void {
    for (const id of ids) if (this.#unanswered.delete(id)) this.#log?.append(OPERATION.ended, id);
  }

  has(id: number): boolean {
    return this.#unanswered.get(id) > 0 || this.#keptOpen.has(id);
  }

  /** The ids that have an unanswered request. */
  unansweredOf(ids: Iterable<number>): number[] {
    const found: number[] = [];
    const unanswered = this.#unanswered;
    if (unanswered.size > 0) for (const id of ids) if (unanswered.get(id) > 0) found.push(id);
    return found;
  }

  keepOrphans(orphans: readonly Orphan[]): void {
    if (orphans.length === 0 && this.#orphans.length === 0) return;
    this.#orphans = orphans;
    const { boot } = this.#options;
    this.#replaceFile("json", (path) => replaceFile(path, JSON.stringify({ boot, orphans })));
  }

  previousDecided(): void {
    this.#previous = undefined;
    this.#replaceFile("previous", (path) => rmSync(path, { force: true }));
  }

  linkLost(): void {
    const highest = this.#highestId;
    const unanswered = new Set([...this.#unanswered.entries()].map(([id]) => id));
    const lost = { highest, unanswered, kept: new Set([...this.#keptBefore, ...this.#keptOpen]) };
    this.#setPrevious(mergePrevious(this.#previous, { ...lost, cleanStop: false }));
    this.#keptBefore = newestIds(lost.kept);
    this.#clear(highest);
  }

  reset(): void {
    this.#keptBefore = new Set();
    this.#clear(0);
    this.previousDecided();
    this.keepOrphans([]);
  }

  /** Retries a write that failed. */
  retry(): void {
    this.#log?.retry();
  }

  /** Recreates files that somebody has removed. */
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

  #clear(highest: number): void {
    this.#highestId = highest;
    this.#unanswered.clear();
    this.#keptOpen.clear();
    this.#connectionCount = 0;
    this.#log?.rewrite();
  }

  /** Reads the requests of the previous process, merged with those that it had itself not decided. */
  #readPrevious(): void {
    const { cleanStop } = this.#options;
    const last = this.#readEntries("log");
    const before = this.#readEntries("previous");
    if (last) this.#highestId = last.highest;
    if (last) this.#keptBefore = newestIds(last.kept);
    const found = last && { ...last, unanswered: cleanStop ? new Set<number>() : last.unanswered, cleanStop };
    const previous = before ? mergePrevious({ ...before, cleanStop: false }, found) : found;
    if (previous && !previous.cleanStop) this.#setPrevious(previous);
    else this.#previous = previous;
  }

  #setPrevious(previous: PreviousRequests): void {
    this.#previous = previous;
    const { boot } = this.#options;
    this.#replaceFile("previous", (path) => writeEntries(path, boot, entriesOf(previous)));
  }

  #readEntries(kind: "log" | "previous"): Omit<PreviousRequests, "cleanStop"> | undefined {
    const { folder, boot } = this.#options;
    const entries = folder === undefined ? undefined : readEntries(this.#path(folder, kind), boot);
    return entries && replayEntries(entries);
  }

  #readOrphans(): readonly Orphan[] {
    const { folder, boot } = this.#options;
    if (folder === undefined) return [];
    try {
      const stored = JSON.parse(readFileSync(this.#path(folder, "json"), "utf8"));
      return stored.boot === boot && Array.isArray(stored.orphans) ? stored.orphans : [];
    } catch {
      return []; // no file, or another format: there are no orphans to take over
    }
  }

  #path(folder: string, kind: "log" | "previous" | "json"): string {
    const { server } = this.#options;
    return join(folder, kind === "json" ? `orphans-${server}.json` : `requests-${server}.${kind}`);
  }

  #replaceFile(kind: "previous" | "json", write: (path: string) => void): void {
    const { folder, onWrite: wrote } = this.#options;
    if (folder === undefined) return;
    const path = this.#path(folder, kind);
    try {
      write(path);
      wrote(path, undefined);
    } catch (error) {
      wrote(path, error);
    }
  }

  *#entries(): Iterable<LogEntry> {
    yield [OPERATION.highest, this.#highestId];
    for (const id of this.#keptBefore) yield [OPERATION.keptBefore, id];
    for (const id of this.#keptOpen) yield [OPERATION.keptBefore, id];
    for (const [id, unanswered] of this.#unanswered.entries())
      for (let n = 0; n < unanswered; n++) yield [OPERATION.read, id];
  }
}

const newestIds = (ids: ReadonlySet<number>): Set<number> => new Set([...ids].slice(-MAX_IDS));

function* entriesOf({ highest, unanswered, kept }: PreviousRequests): Iterable<LogEntry> {
  yield [OPERATION.highest, highest];
  for (const id of kept) yield [OPERATION.keptBefore, id];
  for (const id of unanswered) yield [OPERATION.read, id];
}

/** Merges two generations; requests that the first may have lost have ids above its highest one. */
function mergePrevious(first: PreviousRequests | undefined, second: PreviousRequests | undefined): PreviousRequests {
  if (!first || !second) return (first ?? second) as PreviousRequests;
  return {
    highest: Math.min(first.highest, second.highest),
    unanswered: new Set([...first.unanswered, ...second.unanswered]),
    kept: new Set([...first.kept, ...second.kept]),
    cleanStop: first.cleanStop && second.cleanStop,
  };
}

function replayEntries(entries: readonly LogEntry[]): Omit<PreviousRequests, "cleanStop"> {
  const unanswered = new Map<number, number>();
  const kept = new Set<number>();
  let highest = 0;
  for (const [operation, id] of entries) {
    const requests = unanswered.get(id) ?? 0;
    if (operation === OPERATION.read) {
      unanswered.set(id, requests + 1);
      kept.delete(id);
      highest = Math.max(highest, id);
    } else if (operation === OPERATION.highest) highest = Math.max(highest, id);
    else if (operation === OPERATION.keptBefore) kept.add(id);
    else if (operation === OPERATION.ended) {
      unanswered.delete(id);
      kept.delete(id);
    } else if (requests > 1) unanswered.set(id, requests - 1);
    else {
      unanswered.delete(id);
      if (operation === OPERATION.kept) kept.add(id);
    }
  }
  return { highest, unanswered: new Set(unanswered.keys()), kept };
}
