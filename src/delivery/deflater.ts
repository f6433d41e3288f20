/**
 * Compresses bodies one after the other, each with what came before it as its window, and ends each at a byte boundary (a sync flush).
 *
 * Node has no public call for that: its streams are asynchronous (117 us a body) and its synchronous functions begin with a new state each
 * time. So one body costs 3 to 4 us with the state that a stream holds inside, and 13 to 60 us with deflateRawSync and the window as its
 * dictionary. The first is used where a test at the start finds it as it is expected, otherwise the second
 * (docs/decisions/0109-the-state-inside-zlib-streams.md).
 */
import { constants, createDeflateRaw, type DeflateRaw, deflateRawSync, inflateRawSync } from "node:zlib";

export interface Deflater {
  /** The compressed body, a new buffer. Throws where zlib fails: then the deflater must be closed. */
  compress(body: Buffer): Buffer;
  /** The next body refers to none before it. */
  restart(): void;
  /** Frees its memory, which is outside of the heap. */
  close(): void;
}

/** 130 kB a state, of which 8 kB are the window. (Twice the memory compresses ticker events 4.9-fold instead of 4.7-fold.) */
const SETTINGS = { level: 6, windowBits: 13, memLevel: 6 };
const WINDOW_BYTES = 1 << SETTINGS.windowBits;
/** Compressed bytes that one call writes; a larger body takes several. */
const OUTPUT_BYTES = 65_536;

const output = Buffer.allocUnsafeSlow(OUTPUT_BYTES);

/** What a zlib stream of Node.js 20 to 26 has inside. */
interface ZlibInside {
  readonly _handle?: {
    writeSync(
      ...args: [flush: number, input: Buffer, at: number, length: number, output: Buffer, at: number, length: number]
    ): void;
    reset(): void;
  };
  /** Bytes left of the output, and of the input. */
  readonly _writeState?: Uint32Array;
}

/** With the state that a stream holds inside. */
class StateDeflater implements Deflater {
  readonly #stream: DeflateRaw = createDeflateRaw(SETTINGS);
  readonly #handle: NonNullable<ZlibInside["_handle"]>;
  readonly #left: Uint32Array;
  #error: Error | undefined;

  /** Throws a TypeError if the stream has another form inside. */
  constructor() {
    const { _handle: handle, _writeState: left } = this.#stream as unknown as ZlibInside;
    const isKnown = typeof handle?.writeSync === "function" && typeof handle.reset === "function";
    if (!isKnown || !(left instanceof Uint32Array)) throw new TypeError("zlib streams have another form inside");
    this.#handle = handle;
    this.#left = left;
    this.#stream.on("error", (error) => {
      this.#error = error;
    });
  }

  compress(body: Buffer): Buffer {
    const pieces: Buffer[] = [];
    let at = 0;
    for (;;) {
      this.#handle.writeSync(constants.Z_SYNC_FLUSH, body, at, body.length - at, output, 0, OUTPUT_BYTES);
      if (this.#stream.destroyed) throw this.#error ?? new Error("zlib failed");
      const [outputLeft = 0, inputLeft = 0] = this.#left;
      pieces.push(Buffer.from(output.subarray(0, OUTPUT_BYTES - outputLeft)));
      at = body.length - inputLeft;
      if (outputLeft > 0) break; // zlib has written all of the flush
    }
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
  }

  restart(): void {
    this.#handle.reset();
  }

  close(): void {
    this.#stream.close();
  }
}

/** With public functions alone. */
class DictionaryDeflater implements Deflater {
  #window: Buffer = Buffer.alloc(0);

  compress(body: Buffer): Buffer {
    const dictionary = this.#window;
    const { Z_SYNC_FLUSH: finishFlush } = constants;
    const compressed = deflateRawSync(body, { ...SETTINGS, finishFlush, ...(dictionary.length > 0 && { dictionary }) });
    const joined = body.length < WINDOW_BYTES ? Buffer.concat([dictionary, body]) : body;
    this.#window = joined.subarray(-WINDOW_BYTES);
    return compressed;
  }

  restart(): void {
    this.#window = Buffer.alloc(0);
  }

  close(): void {
    this.restart();
  }
}

export type DeflaterKind = "state" | "dictionary";

const MAKERS: Readonly<Record<DeflaterKind, () => Deflater>> = {
  state: () => new StateDeflater(),
  dictionary: () => new DictionaryDeflater(),
};

/** Makes a deflater; `kind` absent = the fastest that works here. */
export function openDeflater(kind: DeflaterKind = workingKind()): Deflater {
  return MAKERS[kind]();
}

let known: DeflaterKind | undefined;

/** The fastest kind that works with this version of Node.js; tested at the first call. */
export function workingKind(): DeflaterKind {
  known ??= isWorking(MAKERS.state) ? "state" : "dictionary";
  return known;
}

/** Whether bodies are compressed so that a client that began at a restart reads them, a large one and repetitions included. */
export function isWorking(make: () => Deflater): boolean {
  const small = Buffer.from('id: a#1\ndata: {"symbol":"ACME","price":101.25}\n\n');
  const large = Buffer.from(Array.from({ length: OUTPUT_BYTES * 2 }, (_, at) => (at * at * 31 + (at >> 3)) & 0xff));
  try {
    const deflater = make();
    deflater.compress(large);
    deflater.restart();
    const bodies = [small, small, large, small];
    const compressed = bodies.map((body) => deflater.compress(body));
    deflater.close();
    const isSmaller = (compressed[1]?.length ?? 0) < small.length / 2;
    const decoded = inflateRawSync(Buffer.concat(compressed), { finishFlush: constants.Z_SYNC_FLUSH });
    return isSmaller && decoded.equals(Buffer.concat(bodies));
  } catch {
    return false; // of another form, or it fails: the other kind is used
  }
}
