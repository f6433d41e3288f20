/**
 * What changes with every flush: for each server the fenced position, and when it was last vouched for. A small file that is
 * written over in place: one system call, where a transaction of LMDB takes five and 0.5 ms of a core that Mongrel2 needs at that
 * moment to write to its connections (at 10 events/s to 1000 clients: a fifth of the daemon's processor time). A write is whole when
 * the process is killed after it.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { PRIVATE_MODE } from "../util/private-files.js";

export interface Mark {
  /** Everything up to this offset has been seen by the settled clients. */
  readonly through: number;
  /** Clock.monotonic(). */
  readonly aliveAt: number;
  /** See ClientStore.stoppedCleanly(): written by a process that ends, removed by the next one when it opens the file. */
  readonly cleanStop?: true;
}

const NONE: Mark = { through: 0, aliveAt: 0 };

export class Marks {
  readonly #file: number;
  #life: string;
  readonly #marks: Map<string, Mark>;
  /** Servers of which the last process ended cleanly. */
  readonly #cleanStops: ReadonlySet<string>;
  #length = 0;

  /** `life`: marks of another one are forgotten. Throws what the file system throws. */
  constructor(path: string, life: string) {
    this.#life = life;
    this.#file = openSync(path, constants.O_RDWR | constants.O_CREAT, PRIVATE_MODE);
    const text = readFileSync(this.#file, "utf8");
    this.#length = Buffer.byteLength(text);
    const marks = read(text, life);
    this.#cleanStops = new Set([...marks].filter(([, { cleanStop }]) => cleanStop).map(([server]) => server));
    this.#marks = new Map([...marks].map(([server, { through, aliveAt }]) => [server, { through, aliveAt }]));
    this.#write();
  }

  /** Whether the process that wrote the file said so of this server. */
  stoppedCleanly(server: string): boolean {
    return this.#cleanStops.has(server);
  }

  get(server: string): Mark {
    return this.#marks.get(server) ?? NONE;
  }

  set(changes: Iterable<readonly [server: string, change: Partial<Mark>]>): void {
    for (const [server, change] of changes) this.#marks.set(server, { ...this.get(server), ...change });
    this.#write();
  }

  /** Begins another life: nothing is marked in it yet. */
  renew(life: string): void {
    this.#life = life;
    this.#marks.clear();
    this.#write();
  }

  close(): void {
    closeSync(this.#file);
  }

  /** The file never becomes shorter: what is left of a longer text is blanks. */
  #write(): void {
    const text = JSON.stringify({ life: this.#life, marks: [...this.#marks] });
    const bytes = Buffer.from(text.padEnd(this.#length));
    this.#length = bytes.length;
    try {
      writeSync(this.#file, bytes, 0, bytes.length, 0);
    } catch {
      // The disk is full: what is there stays, and whoever goes on from it sends some events twice.
    }
  }
}

/** Empty for what is not a file of ours, or of another life. */
function read(text: string, life: string): Map<string, Mark> {
  try {
    const stored: { life?: unknown; marks?: [string, Mark][] } = JSON.parse(text);
    return new Map(stored.life === life ? stored.marks : []);
  } catch {
    return new Map();
  }
}
