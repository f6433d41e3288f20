/**
 * The file behind a RequestRecord: a log of small operations, appended once a turn of the event loop (one system call, about 1.5 us)
 * and rewritten when it has grown. It survives a kill of the process (page cache), not a crash of the machine.
 *
 *   line    format and boot of the machine
 *   entry   operation u8 | connection id u32, little-endian
 */
import { closeSync, constants, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { PRIVATE_MODE } from "../../util/private-files.js";

/** Operation codes of the log, each about a connection id. */
export const OPERATION = {
  /** A request was read. */
  read: 1,
  /** A request was answered, or its stream is in the client record. */
  answered: 2,
  /** A request was answered, and the connection is kept open. */
  kept: 3,
  /** The connection is closed. */
  ended: 4,
  /** The highest id so far. */
  highest: 5,
  /** Kept open by an earlier process. */
  keptBefore: 6,
} as const;

export type Operation = (typeof OPERATION)[keyof typeof OPERATION];
export type LogEntry = readonly [operation: Operation, id: number];

const ENTRY_BYTES = 5;
const BUFFER_BYTES = 64 * 1024;
/** The log is rewritten when this much has been appended. */
const MAX_APPENDED_BYTES = 2_097_152;
/** After a write has failed none is tried for this long. */
const RETRY_INTERVAL_MS = 500;

export interface RequestLogOptions {
  readonly path: string;
  readonly boot: string;
  readonly monotonic: () => number;
  /** The entries of a log that is rewritten. */
  readonly snapshot: () => Iterable<LogEntry>;
  /** Called after each write with its error; undefined = it succeeded. */
  readonly onWrite: (error: unknown) => void;
}

export class RequestLog {
  readonly #options: RequestLogOptions;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #usedBytes = 0;
  #descriptor: number | undefined;
  #appendedBytes = 0;
  #isScheduled = false;
  #isClosed = false;
  /** The file misses entries: it must be rewritten. */
  #isStale = true;
  #retryAt = Number.NEGATIVE_INFINITY;

  constructor(options: RequestLogOptions) {
    this.#options = options;
  }

  append(operation: Operation, id: number): void {
    if (this.#isClosed) return;
    if (this.#usedBytes + ENTRY_BYTES > BUFFER_BYTES) this.flush();
    const at = this.#usedBytes;
    const buffer = this.#buffer;
    buffer[at] = operation;
    // Cheaper than writeUInt32LE(), which checks its arguments.
    buffer[at + 1] = id;
    buffer[at + 2] = id >>> 8;
    buffer[at + 3] = id >>> 16;
    buffer[at + 4] = id >>> 24;
    this.#usedBytes = at + ENTRY_BYTES;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  /** Writes the appended entries; after a failure the next attempt rewrites the file. */
  flush(): void {
    if (this.#usedBytes === 0) return;
    const bytes = this.#usedBytes;
    this.#usedBytes = 0;
    if (this.#isStale || this.#descriptor === undefined || this.#appendedBytes + bytes > MAX_APPENDED_BYTES) {
      this.rewrite();
      return;
    }
    this.#attempt((file) => {
      writeSync(file, this.#buffer, 0, bytes);
      this.#appendedBytes += bytes;
    }, this.#descriptor);
  }

  /** Rewrites the file. */
  rewrite(): void {
    if (this.#options.monotonic() < this.#retryAt) return;
    const { path, boot, snapshot } = this.#options;
    this.#usedBytes = 0;
    this.#attempt(() => {
      writeEntries(path, boot, snapshot());
      this.#closeDescriptor();
      this.#descriptor = openSync(path, constants.O_WRONLY | constants.O_APPEND);
      this.#appendedBytes = 0;
      this.#isStale = false;
    }, 0);
  }

  retry(): void {
    if (this.#isStale) this.rewrite();
  }

  /** Entries appended afterwards are dropped. */
  close(): void {
    this.flush();
    this.#isClosed = true;
    this.#closeDescriptor();
  }

  #closeDescriptor(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #attempt(write: (file: number) => void, file: number): void {
    try {
      write(file);
      this.#options.onWrite(undefined);
    } catch (error) {
      this.#isStale = true;
      this.#retryAt = this.#options.monotonic() + RETRY_INTERVAL_MS;
      this.#options.onWrite(error);
    }
  }
}

/** Replaces a file atomically. Throws file-system errors. */
export function writeEntries(path: string, boot: string, entries: Iterable<LogEntry>): void {
  const all = [...entries];
  const header = Buffer.from(headerOf(boot));
  const bytes = Buffer.allocUnsafe(header.length + all.length * ENTRY_BYTES);
  header.copy(bytes);
  let at = header.length;
  for (const [operation, id] of all) {
    bytes[at] = operation;
    bytes.writeUInt32LE(id, at + 1);
    at += ENTRY_BYTES;
  }
  replaceFile(path, bytes);
}

/** Atomic: a kill leaves the old file or the new one. */
export function replaceFile(path: string, bytes: Buffer | string): void {
  writeFileSync(`${path}.new`, bytes, { mode: PRIVATE_MODE });
  renameSync(`${path}.new`, path);
}

/** Undefined for a missing file, another format, or another boot of the machine. */
export function readEntries(path: string, boot: string): LogEntry[] | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return undefined; // counts as missing, which the caller reports
  }
  const header = Buffer.from(headerOf(boot));
  if (!bytes.subarray(0, header.length).equals(header)) return undefined;
  const entries: LogEntry[] = [];
  for (let at = header.length; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    entries.push([bytes[at] as Operation, bytes.readUInt32LE(at + 1)]);
  }
  return entries;
}

const headerOf = (boot: string): string => `m2push requests 1 ${boot}\n`;
