/**
 * Compressed bodies for clients that accept gzip: [stream] compression. A body is encoded in one of three ways.
 *
 *   shared  with the window of its audience, once for all clients that have read the window from its beginning (compressed-audience.ts)
 *   own     compressed alone: the same bytes for every client
 *   stored  not compressed, 5 bytes more: costs nothing, and gives nothing away
 *
 * The length of a compressed body tells how much of it stood in its window or in the body before. A publisher that guesses and
 * sees the lengths reads a secret in the same window, byte for byte (40 of 40 tokens of 64 bits). So with "public" private events are stored.
 */

import { storedBlocks } from "../protocol/gzip.js";
import type { Clock } from "../util/clock.js";
import { type Deflater, openDeflater } from "./deflater.js";
import { type Window, type WindowOwner, Windows } from "./windows.js";

/** What is compressed: nothing (clients of an earlier configuration get stored bodies), what everybody may read, or private events, too. */
export type CompressionMode = "off" | "public" | "all";

/** How a body is encoded. */
export type Encoding = "shared" | "own" | "stored";

/** A body as it is before it is encoded. */
export interface PlainBody {
  /** Its size in bytes. */
  readonly bytes: number;
  /** Publications in it; 0 = a heartbeat. */
  readonly events: number;
  /** Some of them are private. */
  readonly isPrivate: boolean;
  body(): Buffer;
}

/** Copies of bodies that were sent to clients, counted once for each. */
export interface EncodedCounts {
  bodies: number;
  /** Their size before, and as they were sent. */
  plainBytes: number;
  wireBytes: number;
}

export interface CompressionOptions {
  readonly mode: CompressionMode;
  readonly clock: Clock;
  /** Called when zlib has failed; bodies are stored from then on. */
  readonly failed: (error: Error) => void;
  /** Absent = that of windows.ts. */
  readonly maxWindowCount?: number;
  /** Makes a state of zlib; absent = openDeflater(). */
  readonly open?: () => Deflater;
}

/**
 * What one flush may compress: the bytes of its bodies and BODY_UNITS for each, about 20 ms in all. Beyond it bodies are stored. (Without a
 * limit 500 audiences that get the same bodies of 16 kB would block the daemon for 0.2 s at each flush.)
 */
const FLUSH_UNITS = 1_000_000;
const BODY_UNITS = 500;
/** An own body of fewer events is hardly smaller than a stored one. */
const MIN_OWN_EVENTS = 5;
/** The same where the number of events is unknown. */
const MIN_OWN_BYTES = 700;

export class Compression {
  readonly clock: Clock;
  readonly #mode: CompressionMode;
  readonly #windows: Windows;
  readonly #options: CompressionOptions;
  readonly #counts: Record<Encoding, EncodedCounts> = { shared: zeros(), own: zeros(), stored: zeros() };
  /** For own bodies; undefined until the first. */
  #own: Deflater | undefined;
  #unitsLeft = 0;
  #hasFailed = false;

  constructor(options: CompressionOptions) {
    const { clock, mode, maxWindowCount, open } = options;
    this.clock = clock;
    this.#options = options;
    this.#mode = mode;
    this.#windows = new Windows({
      clock,
      ...(maxWindowCount !== undefined && { maxCount: maxWindowCount }),
      ...(open && { open }),
    });
  }

  get windows(): number {
    return this.#windows.count;
  }

  get counts(): Readonly<Record<Encoding, Readonly<EncodedCounts>>> {
    return this.#counts;
  }

  /** A flush begins. */
  begin(): void {
    this.#unitsLeft = FLUSH_UNITS;
  }

  /** A window for an audience that has none; undefined = there is none. */
  takeWindow(owner: WindowOwner): Window | undefined {
    return this.#guarded(() => this.#windows.take(owner));
  }

  releaseWindow(owner: WindowOwner): void {
    this.#windows.release(owner);
  }

  /** Whether a body may be compressed at all. */
  permits(isPrivate: boolean): boolean {
    return this.#mode === "all" || (this.#mode === "public" && !isPrivate);
  }

  /** Compresses a body with a window; undefined = this flush has compressed enough, or zlib has failed: the window has not got the body. */
  shared({ deflater }: Window, body: PlainBody): Buffer | undefined {
    return this.#spend(body.bytes) ? this.#guarded(() => deflater.compress(body.body())) : undefined;
  }

  /**
   * Gives a window that was restarted the last events that all its clients have, however these were encoded: bodies may refer to them. False =
   * this flush has compressed enough, or zlib has failed.
   */
  prime({ deflater }: Window, events: Buffer): boolean {
    return this.#spend(events.length) && this.#guarded(() => deflater.compress(events)) !== undefined;
  }

  /** Encodes a body so that it needs no window. */
  alone(body: PlainBody): { readonly wire: Buffer; readonly encoding: Encoding } {
    const plain = body.body();
    const own = body.events >= MIN_OWN_EVENTS ? this.#ownOf(plain, body.isPrivate) : undefined;
    return own ? { wire: own, encoding: "own" } : { wire: storedBlocks(plain), encoding: "stored" };
  }

  /** The same for the bytes of some clients. `isPrivate`: they may be. */
  aloneFor(plain: Buffer, isPrivate: boolean): Buffer {
    const own = plain.length >= MIN_OWN_BYTES ? this.#ownOf(plain, isPrivate) : undefined;
    return own ?? storedBlocks(plain);
  }

  /** Bodies of these sizes were sent to a number of clients. */
  count(encoding: Encoding, clients: number, plainBytes: number, wireBytes: number): void {
    const counts = this.#counts[encoding];
    counts.bodies += clients;
    counts.plainBytes += clients * plainBytes;
    counts.wireBytes += clients * wireBytes;
  }

  #ownOf(plain: Buffer, isPrivate: boolean): Buffer | undefined {
    if (!this.permits(isPrivate) || !this.#spend(plain.length)) return undefined;
    const own = this.#guarded(() => {
      const { open = openDeflater } = this.#options;
      this.#own ??= open();
      this.#own.restart();
      return this.#own.compress(plain);
    });
    return own && own.length < plain.length ? own : undefined;
  }

  #spend(bytes: number): boolean {
    if (this.#unitsLeft <= 0 || this.#hasFailed) return false;
    this.#unitsLeft -= bytes + BODY_UNITS;
    return true;
  }

  /** Where zlib fails (no memory), nothing is compressed any more. */
  #guarded<T>(run: () => T): T | undefined {
    if (this.#hasFailed) return undefined;
    try {
      return run();
    } catch (error) {
      this.#hasFailed = true;
      this.#options.failed(error as Error);
      return undefined;
    }
  }
}

const zeros = (): EncodedCounts => ({ bodies: 0, plainBytes: 0, wireBytes: 0 });
