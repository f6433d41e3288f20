/**
 * Blocks: consecutive events as they are stored, numbers little-endian:
 *
 *   block    crc32 u32 (of the rest; 0 = none), records
 *   record   length of the rest u32 | offset u48 | time f64 | flags u8 | expiry f64, if the flags say so | id u16 + bytes |
 *            topics u16, each u16 + bytes | event
 *
 * An id that is the event's own position is not stored. LMDB's pages have no checksum, so blocks have one: a reader gets the stored
 * bytes or nothing (docs/decisions/0015-lmdb-blocks-with-a-checksum.md). Long because it alone knows the layout of a record.
 */
import { crc32 } from "node:zlib";
import { offsetOf, positionId } from "../../protocol/position.js";
import type { Publication } from "../../protocol/publication.js";
import { type Removal, readRemoval } from "../../protocol/removal.js";
import type { PositionedKey } from "./key-table.js";

/** Fits into one page of LMDB beside its header: about 25 small events. A larger event is a block of its own. */
export const MAX_BLOCK_BYTES = 4096 - 24;
/** The checksum before the records. */
export const CRC_BYTES = 4;
const LENGTH_BYTES = 4;
const TIME_OFFSET = LENGTH_BYTES + 6;
const FLAGS_OFFSET = TIME_OFFSET + 8;
/** Where the id is, unless the expiry is before it. */
const ID_OFFSET = FLAGS_OFFSET + 1;
const EXPIRY_BYTES = 8;

/** Bits of a record's flags. Formats before FLAGS_VERSION (lmdb-store.ts) know the first one only. */
const PRIVATE_FLAG = 1;
const EXPIRY_FLAG = 2;
const FINAL_FLAG = 4;
/** The event was removed: the record has no topics and no event any more. */
const REMOVED_FLAG = 8;
/** The record is a removal (protocol/removal.ts), in the place of an event. */
const REMOVAL_FLAG = 16;

/** UTF-8 bytes of one UTF-16 unit. */
const MAX_CHARACTER_BYTES = 3;
/** The count of topics, and the length before each text. */
const COUNT_BYTES = 2;
/** The smallest record. */
const MIN_RECORD_BYTES = ID_OFFSET + 2 * COUNT_BYTES;

/** A block that is being filled, by rising offset. */
export class EventBlock {
  readonly offsets: number[] = [];
  /** Publishers' own ids, with their offsets and first topics. */
  readonly customIds: { readonly id: string; readonly offset: number; readonly topic: string }[] = [];
  /** Idempotency keys of its events, which are stored beside the block. */
  readonly keys: PositionedKey[] = [];
  /** Whether one of its records has a flag that formats before FLAGS_VERSION do not know. */
  hasNewFlags = false;
  readonly #epoch: string;
  #bytes: Buffer;
  #usedBytes = CRC_BYTES;
  #publications: readonly Publication[] | undefined;

  /** Begins with this event. */
  constructor(epoch: string, publication: Publication) {
    this.#epoch = epoch;
    this.#bytes = Buffer.allocUnsafe(CRC_BYTES + maxRecordBytes(publication));
    this.add(publication);
  }

  /** The offset of its last event, which is its key. */
  get last(): number {
    return this.offsets.at(-1) as number;
  }

  /** Bytes of the records. */
  get bytes(): number {
    return this.#usedBytes - CRC_BYTES;
  }

  /** False when the event does not fit. */
  add(publication: Publication): boolean {
    const { offset, id, topics, time, bytes, storedKey } = publication;
    const start = this.#usedBytes;
    if (!this.#ensureCapacity(start + maxRecordBytes(publication))) return false;
    const block = this.#bytes;
    const ownOffset = id === positionId(this.#epoch, offset) ? offset : offsetOf(this.#epoch, id);
    block.writeUIntLE(offset, start + LENGTH_BYTES, 6);
    block.writeDoubleLE(time, start + TIME_OFFSET);
    let at = this.#writeFlags(start + FLAGS_OFFSET, publication);
    at = writeText(block, at, ownOffset === offset ? "" : id);
    at = block.writeUInt16LE(topics.length, at);
    for (const topic of topics) at = writeText(block, at, topic);
    block.set(bytes, at);
    this.#usedBytes = at + bytes.length;
    block.writeUInt32LE(this.#usedBytes - start - LENGTH_BYTES, start);
    this.#publications = undefined;
    this.offsets.push(offset);
    if (storedKey !== undefined) this.keys.push({ key: storedKey, offset, time });
    if (ownOffset === undefined) this.customIds.push({ id, offset, topic: topics[0] ?? "" });
    return true;
  }

  /** Returns the end. */
  #writeFlags(at: number, { private: isPrivate, expiresAt, isFinal, removes }: Publication): number {
    let flags = isPrivate ? PRIVATE_FLAG : 0;
    if (expiresAt !== undefined) flags |= EXPIRY_FLAG;
    if (isFinal) flags |= FINAL_FLAG;
    if (removes) flags |= REMOVAL_FLAG;
    if (flags > PRIVATE_FLAG) this.hasNewFlags = true;
    this.#bytes[at] = flags;
    return expiresAt === undefined ? at + 1 : this.#bytes.writeDoubleLE(expiresAt, at + 1);
  }

  /** Its events, decoded on first use. */
  get publications(): readonly Publication[] {
    this.#publications ??= [...publicationsIn(this.#epoch, this.stored)];
    return this.#publications;
  }

  /** The bytes to store; valid after seal(). */
  get stored(): Buffer {
    return this.#bytes.subarray(0, this.#usedBytes);
  }

  /** Completes the checksum. No event may be added afterwards. */
  seal(): void {
    const stored = sealed(this.stored);
    // Rare events must not hold a page each.
    if (this.#bytes.length - stored.length > MAX_BLOCK_BYTES / 2) this.#bytes = Buffer.from(stored);
  }

  /** False when the block is full. A first event gets a buffer of its own size, because usually none follows; the second one a page. */
  #ensureCapacity(bytes: number): boolean {
    if (bytes <= this.#bytes.length) return true;
    if (bytes > MAX_BLOCK_BYTES) return false;
    const page = Buffer.allocUnsafe(MAX_BLOCK_BYTES);
    page.set(this.stored);
    this.#bytes = page;
    return true;
  }
}

/** Upper bound of the record's bytes. */
function maxRecordBytes({ id, topics, expiresAt, bytes }: Publication): number {
  let total =
    MIN_RECORD_BYTES + (expiresAt === undefined ? 0 : EXPIRY_BYTES) + MAX_CHARACTER_BYTES * id.length + bytes.length;
  for (const topic of topics) total += COUNT_BYTES + MAX_CHARACTER_BYTES * topic.length;
  return total;
}

/** Writes length and bytes of a text; returns the end. */
function writeText(block: Buffer, at: number, text: string): number {
  const size = text === "" ? 0 : block.write(text, at + COUNT_BYTES);
  block.writeUInt16LE(size, at);
  return at + COUNT_BYTES + size;
}

/** A record in a stored block; only its bounds are checked. */
export interface StoredEvent {
  readonly block: Buffer;
  readonly offset: number;
  readonly time: number;
  /** Bytes of the record, with its length field. */
  readonly bytes: number;
  /** Where the record begins in the block. */
  readonly start: number;
}

/** The events of a block above an offset; records without an event, and invalid ones, are left out. */
export function* publicationsIn(epoch: string, block: Buffer, after = 0): Iterable<Publication> {
  for (const record of storedEventsIn(block)) {
    const publication = record.offset > after ? publicationOf(epoch, record) : undefined;
    if (publication) yield publication;
  }
}

/**
 * The events of an intact block that have one of these offsets, rising. They are copies: nothing of the block is kept, which may be LMDB's
 * memory, or 25 times as large as the one event that is wanted.
 */
export function publicationsAt(epoch: string, block: Buffer, offsets: readonly number[]): Publication[] {
  const found: Publication[] = [];
  let next = 0;
  for (let start = CRC_BYTES; next < offsets.length && start + MIN_RECORD_BYTES <= block.length; ) {
    const bytes = LENGTH_BYTES + block.readUInt32LE(start);
    if (bytes < MIN_RECORD_BYTES || start + bytes > block.length) break;
    const offset = offsetAt(block, start);
    while ((offsets[next] ?? Number.POSITIVE_INFINITY) < offset) next++;
    if (offsets[next] === offset) {
      const time = block.readDoubleLE(start + TIME_OFFSET);
      const publication = publicationOf(epoch, { block, offset, time, bytes, start }, copyOf);
      if (publication) found.push(publication);
    }
    start += bytes;
  }
  return found;
}

const viewOf = (block: Buffer, start: number, end: number): Buffer => block.subarray(start, end);

function copyOf(block: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  block.copy(copy, 0, start, end);
  return copy;
}

/** The offset of the record that begins there; readUIntLE() takes three times as long. */
const offsetAt = (block: Buffer, start: number): number =>
  block.readUInt16LE(start + LENGTH_BYTES + 4) * 2 ** 32 + block.readUInt32LE(start + LENGTH_BYTES);

/** Whether the checksum matches, or the block has none. */
export function isIntact(block: Buffer): boolean {
  if (block.length <= CRC_BYTES) return false;
  const stored = block.readUInt32LE(0);
  return stored === 0 || crc32(block.subarray(CRC_BYTES)) === stored;
}

/**
 * The records of a block, up to the first invalid length. Math.trunc() makes the offset a small integer for V8: a single offset in
 * float representation makes V8 store all offsets as floats, and discard the compiled code on their path, a second after the start.
 */
export function* storedEventsIn(block: Buffer): Iterable<StoredEvent> {
  for (let at = CRC_BYTES; at + MIN_RECORD_BYTES <= block.length; ) {
    const bytes = LENGTH_BYTES + block.readUInt32LE(at);
    if (bytes < MIN_RECORD_BYTES || at + bytes > block.length) return;
    const offset = Math.trunc(block.readUIntLE(at + LENGTH_BYTES, 6));
    yield { block, offset, time: block.readDoubleLE(at + TIME_OFFSET), bytes, start: at };
    at += bytes;
  }
}

/** The publisher's own id of a record; "" = its id is its position. */
export function customIdOf({ block, start }: StoredEvent): string {
  const at = idStart(block, start);
  const begin = at + COUNT_BYTES;
  return block.toString("utf8", begin, begin + block.readUInt16LE(at));
}

/** The topics of a record; empty = it has none any more, or is invalid. */
export function topicsOf({ block, start, bytes }: StoredEvent): string[] {
  const end = start + bytes;
  const id = idStart(block, start);
  const countAt = id + COUNT_BYTES + block.readUInt16LE(id);
  if (countAt + COUNT_BYTES > end) return [];
  const topics: string[] = [];
  let at = countAt + COUNT_BYTES;
  for (let left = block.readUInt16LE(countAt); left > 0 && at + COUNT_BYTES <= end; left--) {
    const begin = at + COUNT_BYTES;
    at = begin + block.readUInt16LE(at);
    topics.push(block.toString("utf8", begin, at));
  }
  return at <= end ? topics : [];
}

/** When a record's event expires, milliseconds since 1970; Infinity = never. */
export const expiryOf = ({ block, start }: StoredEvent): number =>
  idStart(block, start) > start + ID_OFFSET ? block.readDoubleLE(start + ID_OFFSET) : Number.POSITIVE_INFINITY;

/** Where the id of a record is. */
function idStart(block: Buffer, start: number): number {
  const hasExpiry = ((block[start + FLAGS_OFFSET] ?? 0) & EXPIRY_FLAG) !== 0;
  return start + ID_OFFSET + (hasExpiry ? EXPIRY_BYTES : 0);
}

/** Whether a record is a final event. */
export const isFinal = ({ block, start }: StoredEvent): boolean =>
  ((block[start + FLAGS_OFFSET] ?? 0) & FINAL_FLAG) !== 0;

/** What a record removes; undefined = it is an event. */
export function removalOf({ block, start, bytes }: StoredEvent): Removal | undefined {
  const isRemoval = ((block[start + FLAGS_OFFSET] ?? 0) & REMOVAL_FLAG) !== 0;
  if (!isRemoval) return undefined;
  const id = idStart(block, start);
  const topics = id + COUNT_BYTES + block.readUInt16LE(id);
  return readRemoval(block.subarray(topics + COUNT_BYTES, start + bytes));
}

/** A stored block without the events that `isRemoved` selects: their offsets and ids stay. Undefined = it has none of them. */
export function withoutRemoved(
  epoch: string,
  block: Buffer,
  isRemoved: (publication: Publication) => boolean,
): Buffer | undefined {
  const parts: Buffer[] = [block.subarray(0, CRC_BYTES)];
  let isChanged = false;
  for (const record of storedEventsIn(block)) {
    const publication = publicationOf(epoch, record);
    const isKept = publication === undefined || !isRemoved(publication);
    parts.push(isKept ? block.subarray(record.start, record.start + record.bytes) : withoutEvent(record));
    isChanged ||= !isKept;
  }
  return isChanged ? sealed(Buffer.concat(parts)) : undefined;
}

/** The record of a removed event. */
function withoutEvent({ block, start }: StoredEvent): Buffer {
  const id = idStart(block, start);
  const head = block.subarray(start, start + ID_OFFSET);
  const idWithLength = block.subarray(id, id + COUNT_BYTES + block.readUInt16LE(id));
  const record = Buffer.concat([head, idWithLength, Buffer.alloc(COUNT_BYTES)]);
  record.writeUInt32LE(record.length - LENGTH_BYTES, 0);
  record[FLAGS_OFFSET] = REMOVED_FLAG;
  return record;
}

/** Completes the checksum. */
export function sealed(block: Buffer): Buffer {
  block.writeUInt32LE(crc32(block.subarray(CRC_BYTES)), 0);
  return block;
}

/** Undefined for a record without an event, and for an invalid one. The event's bytes are a view of the block, unless `bytesOf` copies them. */
export function publicationOf(epoch: string, record: StoredEvent, bytesOf = viewOf): Publication | undefined {
  const { block, offset, time, bytes, start } = record;
  const end = start + bytes;
  const flags = block[start + FLAGS_OFFSET] ?? 0;
  if (flags >= REMOVED_FLAG) return undefined;
  try {
    const idAt = idStart(block, start) + COUNT_BYTES;
    const idEnd = idAt + block.readUInt16LE(idAt - COUNT_BYTES);
    const id = idEnd === idAt ? positionId(epoch, offset) : block.toString("utf8", idAt, idEnd);
    const topics: string[] = [];
    let at = idEnd + COUNT_BYTES;
    for (let left = block.readUInt16LE(idEnd); left > 0; left--) {
      const begin = at + COUNT_BYTES;
      at = begin + block.readUInt16LE(at);
      if (at > end) return undefined;
      topics.push(block.toString("utf8", begin, at));
    }
    if (at > end) return undefined;
    const isPrivate = (flags & PRIVATE_FLAG) !== 0;
    const publication = { offset, id, topics, private: isPrivate, time, bytes: bytesOf(block, at, end) };
    if (flags <= PRIVATE_FLAG) return publication;
    return {
      ...publication,
      ...((flags & EXPIRY_FLAG) !== 0 && { expiresAt: block.readDoubleLE(start + ID_OFFSET) }),
      ...((flags & FINAL_FLAG) !== 0 && { isFinal: true as const }),
    };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
