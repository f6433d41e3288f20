import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { constants, inflateRawSync } from "node:zlib";
import { Compression, type CompressionMode } from "../../src/delivery/compression.js";
import { openDeflater } from "../../src/delivery/deflater.js";
import { FakeClock } from "../support/clock.js";

const TEXT = '{"symbol":"ACME","price":101.25}\n'.repeat(40);
const bodyOf = ({ text = TEXT, events = 5, isPrivate = false } = {}) => ({
  ...{ bytes: Buffer.byteLength(text), events, isPrivate },
  body: () => Buffer.from(text),
});
const failed = (error: Error) => assert.fail(error);
const inflate = (wire: Buffer) => inflateRawSync(wire, { finishFlush: constants.Z_SYNC_FLUSH }).toString();

function open(mode: CompressionMode): Compression {
  const compression = new Compression({ mode, clock: new FakeClock(), failed });
  compression.begin();
  return compression;
}

describe("Compression", () => {
  test("private bodies are stored unless all are compressed, and nothing is compressed that is off", () => {
    const encodings = (mode: CompressionMode) => {
      const compression = open(mode);
      return [false, true].map((isPrivate) => {
        const { wire, encoding } = compression.alone(bodyOf({ isPrivate }));
        assert.equal(inflate(wire), TEXT);
        assert.equal(compression.aloneFor(Buffer.from(TEXT), isPrivate).equals(wire), true);
        return encoding;
      });
    };
    assert.deepEqual(encodings("public"), ["own", "stored"]);
    assert.deepEqual(encodings("all"), ["own", "own"]);
    assert.deepEqual(encodings("off"), ["stored", "stored"]);
  });

  test("own bodies are the same for everybody, whatever was compressed before", () => {
    const compression = open("public");
    const { wire } = compression.alone(bodyOf());
    compression.alone(bodyOf({ text: `secret ${TEXT}` }));
    assert.ok(compression.alone(bodyOf()).wire.equals(wire));
  });

  test("a few events are stored, and so is what would not become smaller", () => {
    const compression = open("public");
    assert.equal(compression.alone(bodyOf({ events: 4 })).encoding, "stored");
    const random = Array.from({ length: 900 }, (_, at) => String.fromCharCode(33 + ((at * at * 7919) % 90))).join("");
    const stored = compression.alone(bodyOf({ text: random.slice(0, 60) }));
    assert.equal(inflate(stored.wire), random.slice(0, 60));
  });

  test("one flush compresses a limited number of bytes; further bodies are stored", () => {
    const compression = open("public");
    const text = TEXT.repeat(50);
    const encodings = Array.from({ length: 30 }, () => compression.alone(bodyOf({ text })).encoding);
    const own = encodings.filter((it) => it === "own").length;
    assert.equal(own, Math.ceil(1_000_000 / (Buffer.byteLength(text) + 500)));
    assert.ok(encodings.slice(own).every((it) => it === "stored"));
    compression.begin();
    assert.equal(compression.alone(bodyOf({ text })).encoding, "own");
  });

  test("when zlib fails, it says so once, and everything is stored from then on", () => {
    const errors: string[] = [];
    let isFailing = false;
    const compression = new Compression({
      ...{ mode: "public", clock: new FakeClock(), failed: ({ message }) => void errors.push(message) },
      open: () => {
        if (isFailing) throw new Error("no memory");
        return openDeflater();
      },
    });
    compression.begin();
    const owner = { windowLost() {} };
    const window = compression.takeWindow(owner);
    assert.ok(window && compression.shared(window, bodyOf()));
    isFailing = true;
    assert.equal(compression.takeWindow({ windowLost() {} }), undefined);
    assert.equal(compression.shared(window, bodyOf()), undefined);
    assert.equal(compression.alone(bodyOf()).encoding, "stored");
    assert.deepEqual(errors, ["no memory"]);
    compression.releaseWindow(owner);
    assert.equal(compression.windows, 0);
  });
});
