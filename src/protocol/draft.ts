/**
 * An event as its publisher sent it, and the rules that apply to the events of every ingress. Authorization is decided elsewhere.
 */
import { ProtocolError, type ReplyCode } from "../errors.js";
import { formatDuration } from "../util/units.js";
import { atMost, type EventFault, faultOf, invalid, quote, tooLarge } from "./event-fault.js";
import { LIMITS } from "./limits.js";
import { eventSize } from "./sse.js";
import type { StoredKey } from "./stored-key.js";

/** An event as its publisher sent it, without a position. checkDraft() has accepted it. */
export interface Draft {
  /** The canonical topic, then alternates: subscribers of any of them receive the event. */
  readonly topics: readonly [string, ...string[]];
  /** Any text; "" is an event without content. Clients receive CR and CRLF as LF. */
  readonly data: string;
  /** The publisher's own id; absent = the daemon generates one. */
  readonly id?: string;
  /** The name of the DOM event; absent = "message". */
  readonly type?: string;
  /** Delay in milliseconds before browsers reconnect; 0 to LIMITS.retryMs. */
  readonly retry?: number;
  /** Whether only subscribers with a grant for one of the topics receive the event. */
  readonly private: boolean;
  /** How long the event may be delivered and replayed, in milliseconds from its publication; absent = while it is stored. */
  readonly ttlMs?: number;
  /** The last event of its topics, until one of them is published to again. */
  readonly final?: true;
  /** Idempotency key of the event: a repeat of the publication with the same key publishes nothing. Never sent to clients. */
  readonly key?: string;
  /** Trace context of the publisher (traceparent.ts). Never sent to clients, and not stored by one daemon alone. */
  readonly traceparent?: string;
  /** The key to store with the event; publishing/ sets it. */
  readonly storedKey?: StoredKey;
}

/** Event types reserved for the hub: Mercure's presence events, and notices in the stream such as m2push-gap. */
const RESERVED_TYPE = /^(mercure$|m2push-)/;

/** C0, DEL, C1; format characters, which are invisible; lone surrogates. */
const FORBIDDEN_CHARACTER = /[\p{Cc}\p{Cf}\p{Cs}]/u;
/** The same without ZWNJ and ZWJ, which Persian, Hindi and emoji need. */
const FORBIDDEN_IN_TOPIC = /[\p{Cc}\p{Cs}]|(?![\u200c\u200d])\p{Cf}/u;
const LONE_SURROGATE = /\p{Cs}/u;

/**
 * Data up to this number of UTF-16 units never exceeds LIMITS.eventBytes, whatever it is and whatever the other fields are: a unit has at
 * most 3 bytes, and a line end becomes 7, "\ndata: ".
 */
const SMALL_DATA_CHARACTERS = 10_000;

/** Rules that depend on the ingress and on the dialect of the request. */
export interface DraftRules {
  /** Whether topics may contain ZWNJ and ZWJ; absent = they may. draft-08 forbids all of Unicode's category Cf. */
  readonly joiners?: boolean;
  /** Whether a topic is in the hub's own namespace; absent = not checked. */
  readonly isReserved?: (topic: string) => boolean;
  /** The code of a reserved topic; absent = "invalid". */
  readonly reservedTopicCode?: ReplyCode;
}

/**
 * Checks the rules for publications of every ingress (characters and reserved names: Mercure, "Publish" and "Topics"; sizes:
 * limits.ts). They do not apply to events of the hub itself. Throws "invalid" or "too_large", or the code of a reserved topic.
 */
export function checkDraft(draft: Draft, rules: DraftRules = {}): void {
  // The same as CHECKS, written out: a call for each check took 2 us of each of the first 5000 events.
  const { id, type, retry, ttlMs, key } = draft;
  checkTopics(draft.topics, rules);
  if (id !== undefined) checkId(id);
  if (type !== undefined) checkType(type);
  if (retry !== undefined) checkRetry(retry);
  if (ttlMs !== undefined) checkTtl(ttlMs);
  if (key !== undefined) checkKey(key);
  checkData(draft);
}

/** Everything that checkDraft() would reject, one fault for each member. */
export function faultsOfDraft(draft: Draft, rules: DraftRules = {}): EventFault[] {
  const faults = CHECKS.flatMap(({ member, check }) => faultOf(member, () => check(draft, rules)) ?? []);
  const { topics, data, private: isPrivate } = draft;
  // The size of an event with a member that cannot be encoded is unknown: then its data alone counts.
  const sized = faults.length === 0 ? draft : { topics, data, private: isPrivate };
  return [...faults, ...[faultOf("data", () => checkData(sized)) ?? []].flat()];
}

const CHECKS: readonly { member: string; check: (draft: Draft, rules: DraftRules) => void }[] = [
  { member: "topic", check: ({ topics }, rules) => checkTopics(topics, rules) },
  { member: "id", check: ({ id }) => id === undefined || checkId(id) },
  { member: "type", check: ({ type }) => type === undefined || checkType(type) },
  { member: "retry", check: ({ retry }) => retry === undefined || checkRetry(retry) },
  { member: "ttl", check: ({ ttlMs }) => ttlMs === undefined || checkTtl(ttlMs) },
  { member: "key", check: ({ key }) => key === undefined || checkKey(key) },
];

function checkData(draft: Draft): void {
  if (LONE_SURROGATE.test(draft.data)) throw invalid("data has half a surrogate pair in it, which no UTF-8 can hold");
  if (draft.data.length > SMALL_DATA_CHARACTERS) atMost(sizeOf(draft), LIMITS.eventBytes, "the event as it is sent");
}

function checkTopics(topics: readonly string[], rules: DraftRules): void {
  const { joiners = true, isReserved, reservedTopicCode = "invalid" } = rules;
  const bad = joiners ? FORBIDDEN_IN_TOPIC : FORBIDDEN_CHARACTER;
  if (topics.length === 0) throw invalid("it has no topic");
  if (topics.length > LIMITS.topics) throw tooLarge(`${topics.length} topics, at most ${LIMITS.topics} are taken`);
  let bytes = 0;
  for (const topic of topics) {
    bytes += checkText("topic", topic, LIMITS.topicBytes, bad);
    if (topic === "*") throw invalid('topic "*" stands for every topic: nothing can be published there');
  }
  atMost(bytes, LIMITS.topicsBytes, "all topics together");
  if (isReserved && topics.some(isReserved)) {
    throw new ProtocolError(reservedTopicCode, "a topic is reserved for the hub");
  }
}

function checkId(id: string): void {
  checkText("id", id, LIMITS.idBytes);
  if (id.startsWith(" ") || id.endsWith(" ")) {
    throw invalid(`id ${quote(id)} begins or ends with a space, which no header can bring back`);
  }
  if (id.startsWith("#")) throw invalid(`id ${quote(id)} must not begin with "#"`);
  if (id === "earliest") throw invalid('id "earliest" is reserved: it asks for everything stored');
}

function checkType(type: string): void {
  checkText("type", type, LIMITS.typeBytes);
  if (RESERVED_TYPE.test(type)) throw invalid(`type ${quote(type)} is reserved for the hub's own events`);
}

function checkRetry(retry: number): void {
  if (!Number.isInteger(retry) || retry < 0)
    throw invalid(`retry must be a whole number of milliseconds, not ${retry}`);
  if (retry > LIMITS.retryMs) throw tooLarge(`retry of ${retry} ms, at most ${LIMITS.retryMs} are taken`);
}

function checkTtl(ttlMs: number): void {
  if (!Number.isInteger(ttlMs) || ttlMs <= 0)
    throw invalid(`ttl must be longer than 0, in whole milliseconds, not ${ttlMs} ms`);
  if (ttlMs > LIMITS.ttlMs)
    throw tooLarge(`ttl of ${formatDuration(ttlMs)}, at most ${formatDuration(LIMITS.ttlMs)} are taken`);
}

function checkKey(key: string): void {
  if (key === "") throw invalid("key is empty");
  if (key.length > LIMITS.keyLength) {
    throw tooLarge(`key has ${key.length} characters, at most ${LIMITS.keyLength} are taken`);
  }
  checkText("key", key, Number.POSITIVE_INFINITY);
}

/** Returns the number of bytes. */
function checkText(what: string, value: string, maxBytes: number, forbidden = FORBIDDEN_CHARACTER): number {
  if (value === "") throw invalid(`${what} is empty`);
  const bytes = Buffer.byteLength(value);
  atMost(bytes, maxBytes, what);
  const bad = forbidden.exec(value)?.[0].codePointAt(0);
  if (bad === undefined) return bytes;
  const name = `U+${bad.toString(16).toUpperCase().padStart(4, "0")}`;
  throw invalid(`${what} ${quote(value)} has ${name} in it, a control or invisible character`);
}

function sizeOf(draft: Draft): number {
  return eventSize(draft) + (draft.id === undefined ? "id: \n".length + LIMITS.madeIdBytes : 0);
}
