/**
 * Events as stored bytes: a block holds those that follow on one another, numbers little-endian:
 *
 *   block    crc32 u32 (of the rest; 0 = not known), records
 *   record   bytes behind this u32 | offset u48 | time f64 | private u8 | id u16 + bytes | topics u16, each u16 + bytes | event
 *
 * An id that says the record's own position is left out. Pages of LMDB carry no checksum, so blocks do: what comes back is
 * what was stored, or nothing.
 */
import * as zlib from "node:zlib";
import { offsetOf, positionId } from "../../protocol/position.js";
import type { Publication } from "../../protocol/publication.js";

/** Node has it from 20.15 on; without it blocks are stored unchecked. */
const checksum: (bytes: Buffer) => number = zlib.crc32 ?? (() => 0);

/** What LMDB has room for in one page beside its own head: some 25 small events. A larger event is a block of its own. */
const ROOM = 4096 - 24;
const CRC = 4;
const SIZE = 4;
const TIME = SIZE + 6;
const HIDDEN = TIME + 8;
const ID = HIDDEN + 1;
/** Of one character of a text, and of a number before texts and their bytes. */
const MOST_OF_CHARACTER = 3;
const COUNT = 2;
/** The smallest record. */
const LEAST = ID + 2 * COUNT;

/** A block that is being filled, by rising offset. */
export class EventBlock {
  readonly offsets: number[] = [];
  /** Ids that are no positions, with their offsets and topics. */
  readonly names: { readonly id: string; readonly offset: number; readonly topic: string }[] = [];
  readonly #epoch: string;
  #bytes: Buffer;
  #size = CRC;
  #publications: readonly Publication[] | undefined;

  /** Holds this event. */
  constructor(epoch: string, publication: Publication) {
    this.#epoch = epoch;
    this.#bytes = Buffer.allocUnsafe(CRC + mostBytes(publication));
    this.add(publication);
  }

  /** The offset of its last event: what it is found by. */
  get last(): number {
    return this.offsets.at(-1) as number;
  }

  /** Of the records. */
  get bytes(): number {
    return this.#size - CRC;
  }

  /** False where there is no room for another event. */
  add(publication: Publication): boolean {
    const { offset, id, topics, private: hidden, time, bytes } = publication;
    const start = this.#size;
    if (!this.#makeRoom(start + mostBytes(publication))) return false;
    const block = this.#bytes;
    const said = offsetOf(this.#epoch, id);
    block.writeUIntLE(offset, start + SIZE, 6);
    block.writeDoubleLE(time, start + TIME);
    block[start + HIDDEN] = hidden ? 1 : 0;
    let at = writeText(block, start + ID, said === offset ? "" : id);
    at = block.writeUInt16LE(topics.length, at);
    for (const topic of topics) at = writeText(block, at, topic);
    block.set(bytes, at);
    this.#size = at + bytes.length;
    block.writeUInt32LE(this.#size - start - SIZE, start);
    this.#publications = undefined;
    this.offsets.push(offset);
    if (said === undefined) this.names.push({ id, offset, topic: topics[0] ?? "" });
    return true;
  }

  /** Its events, made when they are first asked for. */
  get publications(): readonly Publication[] {
    this.#publications ??= [...publicationsIn(this.#epoch, this.stored)];
    return this.#publications;
  }

  /** The block as it is stored, once it is sealed. */
  get stored(): Buffer {
    return this.#bytes.subarray(0, this.#size);
  }

  /** Nothing is added from now on. */
  seal(): void {
    const { stored } = this;
    stored.writeUInt32LE(checksum(stored.subarray(CRC)), 0);
    // Whoever publishes now and then must not hold a page for each.
    if (this.#bytes.length - stored.length > ROOM / 2) this.#bytes = Buffer.from(stored);
  }

  /** False where there is none. The first event has just what it needs: most often nothing follows. With the second a block takes a page. */
  #makeRoom(bytes: number): boolean {
    if (bytes <= this.#bytes.length) return true;
    if (bytes > ROOM) return false;
    const page = Buffer.allocUnsafe(ROOM);
    page.set(this.stored);
    this.#bytes = page;
    return true;
  }
}

/** No record of this publication is larger. */
function mostBytes({ id, topics, bytes }: Publication): number {
  let most = LEAST + MOST_OF_CHARACTER * id.length + bytes.length;
  for (const topic of topics) most += COUNT + MOST_OF_CHARACTER * topic.length;
  return most;
}

/** Length and bytes of a text; returns where they end. */
function writeText(block: Buffer, at: number, text: string): number {
  const size = text === "" ? 0 : block.write(text, at + COUNT);
  block.writeUInt16LE(size, at);
  return at + COUNT + size;
}

/** A record in a stored block, unchecked. */
export interface StoredEvent {
  readonly block: Buffer;
  readonly offset: number;
  readonly time: number;
  /** With what says how many these are. */
  readonly bytes: number;
  /** Where it begins. */
  readonly at: number;
}

/** The events of a block that is whole, or not known to be: what cannot be one is left out. */
export function* publicationsIn(epoch: string, block: Buffer): Iterable<Publication> {
  for (const record of recordsIn(block)) {
    const publication = decodeRecord(epoch, record);
    if (publication) yield publication;
  }
}

/** Of a record: its size and offset, where so many bytes follow. */
export function recordHead(offset: number, bytes: number): Buffer {
  const head = Buffer.alloc(TIME);
  head.writeUInt32LE(TIME - SIZE + bytes);
  head.writeUIntLE(offset, SIZE, 6);
  return head;
}

/** Whether its bytes are what was stored. */
export function isWhole(block: Buffer): boolean {
  if (block.length <= CRC) return false;
  const stored = block.readUInt32LE(0);
  return stored === 0 || checksum(block.subarray(CRC)) === stored;
}

/**
 * The records of a block, as far as they can be told apart. An offset comes out of it as a whole number, not as a float that is whole:
 * one such in a publication, and V8 keeps the offsets of all as floats from then on, and throws away what it has compiled of all that
 * they go through: a second after the start, in the middle of a flood.
 */
export function* recordsIn(block: Buffer): Iterable<StoredEvent> {
  for (let at = CRC; at + LEAST <= block.length; ) {
    const bytes = SIZE + block.readUInt32LE(at);
    if (bytes < LEAST || at + bytes > block.length) return;
    const offset = Math.trunc(block.readUIntLE(at + SIZE, 6));
    yield { block, offset, time: block.readDoubleLE(at + TIME), bytes, at };
    at += bytes;
  }
}

/** The id of a record that is no position of its own; "" = it is. */
export function nameIn({ block, at }: StoredEvent): string {
  const begin = at + ID + COUNT;
  return block.toString("utf8", begin, begin + block.readUInt16LE(at + ID));
}

/** Undefined where it is no event. Its bytes are a view of the block. */
function decodeRecord(epoch: string, record: StoredEvent): Publication | undefined {
  const { block, offset, time, bytes, at: start } = record;
  const end = start + bytes;
  try {
    let at = start + ID;
    const text = () => {
      const begin = at + COUNT;
      at = begin + block.readUInt16LE(at);
      return block.toString("utf8", begin, at);
    };
    const id = text() || positionId(epoch, offset);
    const count = block.readUInt16LE(at);
    at += COUNT;
    const topics = Array.from({ length: count }, text);
    const hidden = block[start + HIDDEN] === 1;
    return at <= end ? { offset, id, topics, private: hidden, time, bytes: block.subarray(at, end) } : undefined;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
