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
  let size = HEAD + 2 + Buffer.byteLength(id) + 2 + bytes.length;
  for (const topic of topics) size += 2 + Buffer.byteLength(topic);
  const record = Buffer.allocUnsafe(size);
  record.writeDoubleLE(time, 4);
  record[12] = hidden ? 1 : 0;
  let at = record.writeUInt16LE(topics.length, writeText(record, HEAD, id));
  for (const topic of topics) at = writeText(record, at, topic);
  record.set(bytes, at);
  record.writeUInt32LE(checksum(record.subarray(4)), 0);
  return record;
}

/** Length and bytes of a text; returns where they end. */
function writeText(record: Buffer, at: number, text: string): number {
  const size = record.write(text, at + 2);
  record.writeUInt16LE(size, at);
  return at + 2 + size;
}

/** Id and time, unchecked: undefined when even they cannot be read. */
export function stampOf(record: Buffer): { readonly id: string; readonly time: number } | undefined {
  if (record.length < HEAD + 2) return undefined;
  const start = HEAD + 2;
  return { id: record.toString("utf8", start, start + record.readUInt16LE(HEAD)), time: record.readDoubleLE(4) };
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
