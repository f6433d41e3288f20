/**
 * A publication as stored bytes, numbers little-endian:
 *
 *   crc32 u32 (of the rest; 0 = not known) | time f64 | private u8 | id u16 + bytes | topics u16, each u16 + bytes | event
 *
 * The offset is the key, and not in it. Pages of LMDB carry no checksum, so records do: what comes back is what was stored,
 * or undefined.
 */
import * as zlib from "node:zlib";
import type { Publication } from "../protocol/publication.js";

/** Node has it from 20.15 on; without it records are stored unchecked. */
const checksum: (bytes: Buffer) => number = zlib.crc32 ?? (() => 0);

const HEAD = 4 + 8 + 1;

export function encodeRecord({ id, topics, private: hidden, time, bytes }: Publication): Buffer {
  const texts = [id, ...topics];
  const sizes = texts.map((text) => Buffer.byteLength(text));
  const record = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + 2 + size, HEAD + 2 + bytes.length));
  record.writeDoubleLE(time, 4);
  record.writeUInt8(hidden ? 1 : 0, 12);
  let at = HEAD;
  texts.forEach((text, index) => {
    if (index === 1) at = record.writeUInt16LE(topics.length, at);
    at = record.writeUInt16LE(sizes[index] ?? 0, at);
    at += record.write(text, at);
  });
  bytes.copy(record, at);
  record.writeUInt32LE(checksum(record.subarray(4)), 0);
  return record;
}

/** Undefined when the bytes are not what was stored. The event's bytes are a view of `record`. */
export function decodeRecord(offset: number, record: Buffer): Publication | undefined {
  try {
    const stored = record.readUInt32LE(0);
    if (stored !== 0 && checksum(record.subarray(4)) !== stored) return undefined;
    const time = record.readDoubleLE(4);
    const hidden = record.readUInt8(12) === 1;
    let at = HEAD;
    const text = () => {
      const start = at + 2;
      at = start + record.readUInt16LE(at);
      return record.toString("utf8", start, at);
    };
    const id = text();
    const count = record.readUInt16LE(at);
    at += 2;
    const topics = Array.from({ length: count }, text);
    return { offset, id, topics, private: hidden, time, bytes: record.subarray(at) };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
