/**
 * The checkpoint of each server, which changes with every flush: the acknowledged offset, and when this process last trusted its
 * record. The file is overwritten in place: one system call. A transaction of LMDB takes five, and 0.5 ms of a core that Mongrel2
 * needs at that moment (at 10 events/s to 1,000 clients: a fifth of the daemon's CPU time). A completed write survives a kill.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { PRIVATE_MODE } from "../../util/private-files.js";

export interface Checkpoint {
  /** The clients that the server's fences cover (StoredClient.coveredByServerFence) have everything up to this offset. */
  readonly through: number;
  /** Clock.monotonic(), milliseconds. */
  readonly aliveAt: number;
  /** See ClientStore.stoppedCleanly(): written by a process that ends, removed by the next one when it opens the file. */
  readonly cleanStop?: true;
}

const NO_CHECKPOINT: Checkpoint = { through: 0, aliveAt: 0 };

export class Checkpoints {
  #descriptor: number;
  readonly #boot: string;
  /** Offsets belong to this generation of the client record. */
  #generation: number;
  readonly #checkpoints: Map<string, Checkpoint>;
  /** Servers for which the previous process stopped cleanly. */
  readonly #cleanStops: ReadonlySet<string>;
  #textBytes = 0;

  /** Drops checkpoints of another boot, and offsets of another generation. Throws file-system errors. */
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

  /** Whether the process that wrote the file stopped cleanly for this server. */
  stoppedCleanly(server: string): boolean {
    return this.#cleanStops.has(server);
  }

  has(server: string): boolean {
    return this.#checkpoints.has(server);
  }

  get(server: string): Checkpoint {
    return this.#checkpoints.get(server) ?? NO_CHECKPOINT;
  }

  /** Throws file-system errors: the next call writes the changes then. */
  set(changes: Iterable<readonly [server: string, change: Partial<Checkpoint>]>): void {
    for (const [server, change] of changes) this.#checkpoints.set(server, { ...this.get(server), ...change });
    this.#write();
  }

  /** Begins another generation, in which no offset is known yet. */
  startGeneration(generation: number): void {
    this.#generation = generation;
    for (const [server, { aliveAt }] of this.#checkpoints) this.#checkpoints.set(server, { through: 0, aliveAt });
    this.#write();
  }

  /** Recreates the file after somebody has removed it. */
  reopen(path: string): void {
    const removed = this.#descriptor;
    this.#descriptor = openFile(path);
    closeSync(removed);
    this.#write();
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** Pads the text with blanks: the file never becomes shorter. */
  #write(): void {
    const text = JSON.stringify({ boot: this.#boot, generation: this.#generation, marks: [...this.#checkpoints] });
    const bytes = Buffer.from(text.padEnd(this.#textBytes));
    this.#textBytes = bytes.length;
    writeSync(this.#descriptor, bytes, 0, bytes.length, 0);
  }
}

const openFile = (path: string): number => openSync(path, constants.O_RDWR | constants.O_CREAT, PRIVATE_MODE);

/** Empty for another format, and for another boot. */
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
