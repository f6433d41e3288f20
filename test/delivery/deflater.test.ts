import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { constants, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { type Deflater, isWorking, openDeflater, workingKind } from "../../src/delivery/deflater.js";
import { maxEncodedBytes } from "../../src/protocol/gzip.js";

const KINDS = ["state", "dictionary"] as const;
const inflate = (bodies: readonly Buffer[]) =>
  inflateRawSync(Buffer.concat(bodies), { finishFlush: constants.Z_SYNC_FLUSH });

const bodies = fc.array(
  fc.oneof(
    fc.integer({ min: 0, max: 99 }).map((it) => Buffer.from(`id: a#${it}\ndata: {"price":${it}.25}\n\n`)),
    fc.integer({ min: 1, max: 150_000 }).map((size) => Buffer.alloc(size, "abcdefghij")),
    fc.uint8Array({ minLength: 1, maxLength: 20_000 }).map((it) => Buffer.from(it)),
  ),
  { minLength: 1, maxLength: 12 },
);

describe("Deflater", () => {
  test("uses the state of a stream with this version of Node.js", () => {
    assert.equal(workingKind(), "state");
  });

  for (const kind of KINDS) {
    test(`a client that began at the last restart decodes every body (${kind})`, () => {
      const deflater = openDeflater(kind);
      fc.assert(
        fc.property(bodies, bodies, (before, after) => {
          for (const body of before) deflater.compress(body);
          deflater.restart();
          const compressed = after.map((body) => deflater.compress(body));
          assert.ok(inflate(compressed).equals(Buffer.concat(after)));
          const sizes = after.map(({ length }, at) => [compressed[at]?.length ?? 0, maxEncodedBytes(length)]);
          for (const [size = 0, most = 0] of sizes) assert.ok(size <= most, `${size} of at most ${most}`);
        }),
        { numRuns: 40 },
      );
      deflater.close();
    });

    test(`a body that cannot be compressed is hardly larger (${kind})`, () => {
      const deflater = openDeflater(kind);
      for (const size of [1, 100, 4095, 4096, 65_536, 200_000]) {
        const compressed = deflater.compress(randomBytes(size));
        assert.ok(compressed.length <= maxEncodedBytes(size), `${compressed.length} of ${size}`);
      }
      deflater.close();
    });
  }

  test("the second event of a kind is much smaller than the first", () => {
    const deflater = openDeflater();
    const event = (number: number) =>
      Buffer.from(`id: #k3j2h1.${number}\ndata: {"symbol":"ACME","price":101.${number}}\n\n`);
    const [first = 0, second = 0] = [1, 2].map((it) => deflater.compress(event(it)).length);
    deflater.close();
    assert.ok(second < first / 2, `${second} after ${first}`);
  });

  const wrong: Readonly<Record<string, Partial<Deflater>>> = {
    "keeps its window at a restart": { restart() {} },
    "loses a body": { compress: () => Buffer.alloc(0) },
    "sends bytes that are not deflate": { compress: (body) => body },
    fails: {
      compress() {
        throw new Error("no memory");
      },
    },
  };
  for (const [fault, changes] of Object.entries(wrong)) {
    test(`a kind that ${fault} does not count as working`, () => {
      assert.ok(isWorking(() => openDeflater("state")));
      assert.ok(!isWorking(() => Object.assign(openDeflater("state"), changes)));
    });
  }

  test("a form of streams that is not known does not count as working", () => {
    assert.ok(
      !isWorking(() => {
        throw new TypeError("another form");
      }),
    );
  });
});
