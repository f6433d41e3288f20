/** The first bytes of a compressed stream. */
import { GZIP_HEADER, storedBlocks } from "../protocol/gzip.js";

const END_OF_HEAD = Buffer.from("\r\n\r\n");

/** The last one: thousands of streams that open at once get the same. */
let last: { readonly start: Buffer; readonly encoded: Buffer } | undefined;

/** Encodes what follows the head of the response; it may hold the name of the stream, which is a secret, so it is stored. */
export function encodeOpening(start: Buffer): Buffer {
  if (last?.start === start) return last.encoded;
  const body = start.indexOf(END_OF_HEAD) + END_OF_HEAD.length;
  const encoded = Buffer.concat([start.subarray(0, body), GZIP_HEADER, storedBlocks(start.subarray(body))]);
  last = { start, encoded };
  return encoded;
}
