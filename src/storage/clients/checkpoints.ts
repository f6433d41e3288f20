/**
 * What changes with every flush: for each server the fenced position, and when it was last vouched for. A small file that is
 * written over in place: one system call, where a transaction of LMDB takes five and 0.5 ms of a core that Mongrel2 needs at that
 * moment to write to its connections (at 10 events/s to 1000 clients: a fifth of the daemon's processor time). A write is whole when
 * the process is killed after it.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { PRIVATE_MODE } from "../../util/private-files.js";

export interface Checkpoint {
  /** Everything up to this offset has been seen by the settled clients. */
  readonly through: number;
  /** Clock.monotonic(). */
  readonly aliveAt: number;
  /** See ClientStore.stoppedCleanly(): written by a process that ends, removed by the next one when it opens the file. */
  readonly cleanStop?: true;
}

const NO_CHECKPOINT: Checkpoint = { through: 0, aliveAt: 0 };

export class Checkpoints {
  #descriptor: number;
  readonly #boot: string;
  /** Positions are those of this generation of the client record. */
  #generation: number;
  readonly #checkpoints: Map<string, Checkpoint>;
  /** Servers of which the last process ended cleanly. */
  readonly #cleanStops: ReadonlySet<string>;
  #textBytes = 0;

  /** Marks of another boot are forgotten, and of another generation their positions. Throws what the file system throws. */
  constructor(path: string, boot: string, generation: number) {
    this.#boot = boot;
    this.#generation = generation;
    this.#descriptor = openFile(path);
    const text = readFileSync(this.#descriptor, "utf8");
    this.#textBytes = Buffer.byteLength(text);
    const marks = parseCheckpoints(text, boot, generation);
    this.#cleanStops = new Set([...marks].filter(([, { cleanStop }]) => cleanStop).map(([server]) => server));
    this.#checkpoints = new Map([...marks].map(([server, { through, aliveAt }]) => [server, { through, aliveAt }]));
  }

  /** Whether the process that wrote the file said so of this server. */
  stoppedCleanly(server: string): boolean {
    return this.#cleanStops.has(server);
  }

  has(server: string): boolean {
    return this.#checkpoints.has(server);
  }

  get(server: string): Checkpoint {
    return this.#checkpoints.get(server) ?? NO_CHECKPOINT;
  }

  /** Throws what the file system throws: what was to be written counts then with the next call. */
  set(changes: Iterable<readonly [server: string, change: Partial<Checkpoint>]>): void {
    for (const [server, change] of changes) this.#checkpoints.set(server, { ...this.get(server), ...change });
    this.#write();
  }

  /** Begins another generation: no position is known in it yet. */
  startGeneration(generation: number): void {
    this.#generation = generation;
    for (const [server, { aliveAt }] of this.#checkpoints) this.#checkpoints.set(server, { through: 0, aliveAt });
    this.#write();
  }

  /** The file is not there any more: it is made again. */
  reopen(path: string): void {
    const removed = this.#descriptor;
    this.#descriptor = openFile(path);
    closeSync(removed);
    this.#write();
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** The file never becomes shorter: what is left of a longer text is blanks. */
  #write(): void {
    const text = JSON.stringify({ boot: this.#boot, generation: this.#generation, marks: [...this.#checkpoints] });
    const bytes = Buffer.from(text.padEnd(this.#textBytes));
    this.#textBytes = bytes.length;
    writeSync(this.#descriptor, bytes, 0, bytes.length, 0);
  }
}

const openFile = (path: string): number => openSync(path, constants.O_RDWR | constants.O_CREAT, PRIVATE_MODE);

/** Empty for what is not a file of ours, or of another boot. */
function parseCheckpoints(text: string, boot: string, generation: number): Map<string, Checkpoint> {
  try {
    const stored: { boot?: unknown; generation?: unknown; marks?: [string, Checkpoint][] } = JSON.parse(text);
    const checkpoints = new Map(stored.boot === boot ? stored.marks : []);
    if (stored.generation === generation) return checkpoints;
    return new Map([...checkpoints].map(([server, mark]) => [server, { ...mark, through: 0 }]));
  } catch {
    return new Map();
  }
}
