/**
 * A gzip stream that never ends (RFC 1951, RFC 1952): a header, then deflate bodies that each end at a byte boundary and none of which is the
 * last. There is no trailer: clients see the end of the response, and a checksum would need every byte that each of them was sent.
 */

/** Deflate, no name, no time, an unknown system. */
export const GZIP_HEADER: Buffer = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);

/** RFC 1951 section 3.2.4: the length has 16 bits. */
const MAX_STORED_BYTES = 65_535;
const STORED_HEAD_BYTES = 5;

/** Encodes bytes as they are: 5 bytes more for each 65,535, and no window is needed or used. Their receiver's window moves on, too. */
export function storedBlocks(bytes: Buffer): Buffer {
  const blocks = Math.ceil(bytes.length / MAX_STORED_BYTES);
  const encoded = Buffer.allocUnsafe(bytes.length + blocks * STORED_HEAD_BYTES);
  for (let from = 0, at = 0; from < bytes.length; from += MAX_STORED_BYTES) {
    const length = Math.min(MAX_STORED_BYTES, bytes.length - from);
    at = encoded.writeUInt8(0, at);
    at = encoded.writeUInt16LE(length, at);
    at = encoded.writeUInt16LE(MAX_STORED_BYTES - length, at);
    at += bytes.copy(encoded, at, from, from + length);
  }
  return encoded;
}

/** zlib stores what it cannot compress, in blocks of at least 4 kB with the settings of delivery/deflater.ts, and ends with an empty one. */
const LEAST_BLOCK_BYTES = 4096;
const FLUSH_BYTES = 16;

/** The largest size that a body can have when it is stored or compressed, bytes. */
export function maxEncodedBytes(bytes: number): number {
  return bytes + Math.ceil(bytes / LEAST_BLOCK_BYTES) * STORED_HEAD_BYTES + FLUSH_BYTES;
}
