/** What fast-check should make up: values of the protocol, and damage. */
import fc from "fast-check";
import { LIMITS } from "../../src/protocol/limits.js";
import type { Draft } from "../../src/protocol/publication.js";
import type { EventFields } from "../../src/protocol/sse.js";
import type { TnetValue } from "../../src/protocol/tnetstring.js";
import { formatDuration } from "../../src/util/units.js";

/** A send_ident that Mongrel2 takes in replies. */
export const sender = fc.stringMatching(/^[A-Za-z0-9-]{1,40}$/);

/** What a reply may be addressed to, fences and 0 included. */
export const connectionId = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 2_147_483_647 }));

export const connectionIds = fc.array(connectionId, { minLength: 1, maxLength: 128 });

export const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));

const FIRST_SURROGATE = 0xd800;
const SURROGATE_COUNT = 0x800;
const CODE_POINT_COUNT = 0x110000;

/**
 * Any code point but surrogates: `unit` of fc.string(). fast-check's own "binary" has the same, but prepares a map of all of them for 1 s
 * in each process that uses it.
 */
export const anyCharacter = fc.integer({ min: 0, max: CODE_POINT_COUNT - SURROGATE_COUNT - 1 }).map(
  (index) => String.fromCodePoint(index < FIRST_SURROGATE ? index : index + SURROGATE_COUNT),
  (character) => {
    if (typeof character !== "string" || [...character].length !== 1) throw new TypeError("no single code point");
    const codePoint = character.codePointAt(0) as number;
    return codePoint < FIRST_SURROGATE ? codePoint : codePoint - SURROGATE_COUNT;
  },
);

/** Any text that UTF-8 can hold: control characters and astral ones, too. */
export const anyText = fc.string({ unit: anyCharacter, maxLength: 40 });

/** Text made of what means something in an event stream, and a little else. */
export const streamText = fc
  .array(
    fc.constantFrom(
      "\r",
      "\n",
      "\r\n",
      "\0",
      "\u{feff}",
      ":",
      " ",
      "data: ",
      "id:",
      "event: x",
      "retry: 5",
      "é",
      "😀",
      "a",
    ),
  )
  .map((pieces) => pieces.join(""));

/** Text as strange as streamText, but in one line. */
const streamLine = streamText.map((text) => text.replace(/[\r\n]/g, ""));

/** What encodeEvent() takes. */
export const event: fc.Arbitrary<EventFields> = fc.record(
  {
    id: fc.oneof(streamLine, fc.uuid()).map((text) => text.replaceAll("\0", "")),
    type: fc.oneof(streamLine, fc.constantFrom("update", "")),
    retry: fc.nat({ max: 2_147_483_647 }),
    data: fc.oneof(streamText, anyText),
  },
  { requiredKeys: [], noNullPrototype: true },
);

/** A value as decode() gives it: strings are Buffers. */
export const tnetValue: fc.Arbitrary<TnetValue> = fc.letrec<{ value: TnetValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    bytes,
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 5 }),
    fc
      .array(fc.tuple(fc.oneof(anyText, fc.constantFrom("__proto__", "constructor", "")), tie("value")), {
        maxLength: 5,
      })
      .map((entries) => new Map(entries)),
  ),
})).value;

/** A word with nothing in it that topics, ids and types must not have. */
const word = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
  .map((text) => `x${text.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, "")}`);

/** What checkDraft() lets pass. */
export const draft: fc.Arbitrary<Draft> = fc.record(
  {
    topics: fc
      .tuple(word, fc.array(word, { maxLength: 3 }))
      .map(([first, rest]): [string, ...string[]] => [first, ...rest]),
    data: fc.oneof(streamText, anyText),
    id: word.map((id) => id.trimEnd()),
    type: word,
    retry: fc.nat({ max: 2_147_483_647 }),
    private: fc.boolean(),
    ttlMs: fc.oneof(
      fc.integer({ min: 1, max: LIMITS.ttlMs }),
      fc.integer({ min: 1, max: 1000 }).map((seconds) => seconds * 1000),
    ),
    final: fc.constant(true as const),
  },
  { requiredKeys: ["topics", "data", "private"], noNullPrototype: true },
);

/** The members of a draft as JSON events have them. */
export function toJsonEvent({ ttlMs, ...rest }: Draft): Record<string, unknown> {
  if (ttlMs === undefined) return rest;
  return { ...rest, ttl: ttlMs % 1000 === 0 ? ttlMs / 1000 : formatDuration(ttlMs) };
}

/** A message that came to harm: up to five bytes changed, a stretch of it lost, or some bytes added somewhere. */
export function damaged(message: Buffer): fc.Arbitrary<Buffer> {
  const at = fc.nat({ max: message.length });
  const changes = fc.array(fc.tuple(at, fc.nat({ max: 255 })), { minLength: 1, maxLength: 5 });
  return fc.oneof(
    changes.map((all) => changed(message, all)),
    fc.tuple(at, at).map(([from, to]) => Buffer.concat([message.subarray(0, from), message.subarray(to)])),
    fc.tuple(at, bytes).map(([from, more]) => Buffer.concat([message.subarray(0, from), more, message.subarray(from)])),
  );
}

function changed(message: Buffer, changes: readonly (readonly [at: number, byte: number])[]): Buffer {
  const copy = Buffer.from(message);
  for (const [at, byte] of changes) copy[at] = byte;
  return copy;
}
