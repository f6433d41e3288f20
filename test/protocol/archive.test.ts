/** Histories as lines of JSON: whatever was published comes back as it was, and what is wrong is told with its line. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { M2pushError } from "../../src/errors.js";
import { ARCHIVE_END, type ArchiveHeader, decodeEntry, encodeEntry, encodeHeader } from "../../src/protocol/archive.js";
import { readArchive } from "../../src/protocol/archive-reader.js";
import { LIMITS } from "../../src/protocol/limits.js";
import { positionDraft } from "../../src/protocol/position.js";
import type { Publication } from "../../src/protocol/publication.js";
import { draft } from "../support/arbitraries.js";

const ARCHIVE_HEADER: ArchiveHeader = { epoch: "abc123", floor: 0, last: 1000 };
const HEADER = encodeHeader(ARCHIVE_HEADER);
const entry = (more: Record<string, unknown> = {}) =>
  `${JSON.stringify({ offset: 1, id: "abc123.1", time: 5, topics: ["t"], data: "x", ...more })}\n`;

const publication = fc
  .tuple(draft, fc.integer({ min: 1, max: 1e12 }), fc.integer({ min: 0, max: 1e13 }))
  .map(([it, offset, time]) => positionDraft(it, ARCHIVE_HEADER.epoch, offset, time));

async function* cut(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(text: string, size = 65_536): Promise<{ header: ArchiveHeader; publications: Publication[] }> {
  const { header, publications } = await readArchive(cut(text, size));
  const all: Publication[] = [];
  for await (const it of publications) all.push(it);
  return { header, publications: all };
}

describe("Archive", () => {
  test("reads every valid publication as it was written", () => {
    fc.assert(
      fc.property(publication, (it) => {
        const line = encodeEntry(it);
        assert.equal(line.indexOf("\n"), line.length - 1);
        assert.deepEqual(decodeEntry(line), it);
      }),
    );
  });

  test("reads an archive in pieces of any size", async () => {
    const all = fc.uniqueArray(publication, { selector: ({ offset }) => offset, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(all, fc.integer({ min: 1, max: 200 }), async (them, size) => {
        const publications = them.toSorted((a, b) => a.offset - b.offset);
        const header = { epoch: "abc123", floor: 0, last: 1e12 };
        const text = encodeHeader(header) + publications.map(encodeEntry).join("") + ARCHIVE_END;
        assert.deepEqual(await read(text, size), { header, publications });
      }),
      { numRuns: 50 },
    );
  });

  test("accepts events of the hub, other line ends and empty lines", async () => {
    const text = [HEADER, entry({ type: "mercure" }), "\n", entry({ offset: 2 }), ARCHIVE_END].join("");
    assert.equal((await read(text.replaceAll("\n", "\r\n"))).publications.length, 2);
  });

  const refused: Readonly<Record<string, readonly [text: string, error: RegExp]>> = {
    "no line at all": ["", /the input is empty/],
    "something else": ["hello\n", /^line 1: broken JSON/],
    "another JSON": ['{"id":1}\n', /^line 1: expected \{"format":"m2push history"/],
    "a newer version": [HEADER.replace('"version":1', '"version":2'), /^line 1: .*newer m2push \(format 2, this one/],
    "a bad epoch": [HEADER.replace("abc123", "a.b"), /^line 1: "epoch"/],
    "no last line": [HEADER + entry(), /ends after line 2, and it is not whole/],
    "a line that was cut": [HEADER + entry().slice(0, 30), /^line 2: broken JSON/],
    "an unknown key": [HEADER + entry({ more: 1 }), /^line 2: unknown key "more"/],
    "no id": [HEADER + entry({ id: "" }), /^line 2: "id"/],
    "an id in two lines": [HEADER + entry({ id: "a\nb" }), /^line 2: id has a line end in it/],
    "an expiry that is no time": [HEADER + entry({ expires: "1h" }), /^line 2: "expires"/],
    "a word for final": [HEADER + entry({ final: "yes" }), /^line 2: "final"/],
    "no topic": [HEADER + entry({ topics: [] }), /^line 2: "topics"/],
    "half a character": [HEADER + entry({ data: "\ud800" }), /^line 2: "data"/],
    "an offset that does not rise": [HEADER + entry() + entry(), /^line 3: offset 1 is not above 1/],
    "an offset beyond the last": [HEADER + entry({ offset: 1001 }), /^line 2: offset 1001 is above 1000/],
    "an event that is too large": [
      HEADER + entry({ data: "x".repeat(LIMITS.eventBytes) }),
      /^line 2: .* at most 100000/,
    ],
    "an id that is too long": [HEADER + entry({ id: "x".repeat(257) }), /^line 2: "id" has more than 256 bytes/],
    "a line without an end": [HEADER + "x".repeat(2_000_000), /^line 2: it has more than 1000000 bytes/],
  };

  for (const [what, [text, error]] of Object.entries(refused)) {
    test(`refused: ${what}`, async () => {
      await assert.rejects(read(text), (it) => it instanceof M2pushError && error.test(it.message));
    });
  }
});
