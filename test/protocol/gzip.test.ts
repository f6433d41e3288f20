import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { constants, gunzipSync } from "node:zlib";
import fc from "fast-check";
import { GZIP_HEADER, maxEncodedBytes, storedBlocks } from "../../src/protocol/gzip.js";

const decode = (...bodies: Buffer[]) =>
  gunzipSync(Buffer.concat([GZIP_HEADER, ...bodies]), { finishFlush: constants.Z_SYNC_FLUSH });

describe("gzip streams", () => {
  test("stored blocks of every size decode to their bytes, with 5 more for each 65,535", () => {
    for (const size of [1, 2, 65_534, 65_535, 65_536, 131_070, 131_071, 300_000]) {
      const bytes = Buffer.from(Array.from({ length: size }, (_, at) => at % 251));
      const encoded = storedBlocks(bytes);
      assert.equal(encoded.length, size + 5 * Math.ceil(size / 65_535), `${size}`);
      assert.ok(encoded.length <= maxEncodedBytes(size));
      assert.ok(decode(encoded).equals(bytes), `${size}`);
    }
  });

  test("bodies one after the other are one stream, which needs no end", () => {
    const body = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((it) => Buffer.from(it));
    fc.assert(
      fc.property(fc.array(body), (bodies) => {
        assert.ok(decode(...bodies.map(storedBlocks)).equals(Buffer.concat(bodies)));
      }),
    );
  });
});
