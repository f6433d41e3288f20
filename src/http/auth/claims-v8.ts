/**
 * Tokens of draft-dunglas-mercure-08: OAuth access tokens (RFC 9068) whose `authorization_details` (RFC 9396) grant rights. One invalid
 * entry makes the whole token invalid: its intent is unknown, and the rest may grant more than was intended. `sub`, `client_id`, `iat`
 * and `jti` are required of the issuer only; the hub does not require them, since tokens without them are in use.
 */
import type { JsonValue } from "../../delivery/subscriber.js";
import type { SelectorKind } from "../../matching/selector.js";
import { isObject, type JsonObject, readPayload, readStrings } from "./claims.js";
import { type ParseSelector, type Rights, readSelector } from "./grants.js";
import { displayValue, tokenError } from "./token-refusal.js";

/** The trusted issuer, and the names of this hub: the values of `iss` and `aud`, compared byte for byte. */
export interface TokenAuthority {
  /** Undefined: any holder of the key; a token must still have an `iss`. */
  readonly issuer: string | undefined;
  readonly audiences: readonly string[];
}

const CLAIM = "authorization_details";
const DETAIL_TYPE = "https://mercure.rocks/authorization-detail";
/** Mercure entries of one token, and topics of all entries together; the limits of the Mercure reference hub. */
const MAX_DETAIL_COUNT = 100;
const MAX_TOPIC_COUNT = 100;

/** Whether a token is, or claims to be, an access token; such a token is never read as one of Mercure 0.x. */
export function isAccessToken(header: JsonObject, claims: JsonObject): boolean {
  return hasAccessType(header) || Object.hasOwn(claims, CLAIM);
}

/** `at+jwt`, a media type: in any case, with or without the prefix "application/" (RFC 9068 sections 2.1 and 4). */
function hasAccessType({ typ }: JsonObject): boolean {
  return typeof typ === "string" && /^(?:application\/)?at\+jwt$/i.test(typ);
}

/** Checks `typ`, `iss` and `aud`; throws "unauthenticated". Without an authority no access token is valid. */
export function checkAccessToken(header: JsonObject, claims: JsonObject, authority: TokenAuthority | undefined): void {
  if (!hasAccessType(header)) throw tokenError(`the typ is ${displayValue(header.typ)}, not "at+jwt"`);
  if (authority === undefined) throw tokenError("access tokens (Mercure draft-08) are disabled");
  const { iss } = claims;
  const { issuer, audiences } = authority;
  if (issuer === undefined && (typeof iss !== "string" || iss === ""))
    throw tokenError(`the iss is ${displayValue(iss)}, not a name`);
  checkIssuer(claims, issuer);
  checkAudience(claims, audiences);
}

/** Throws "unauthenticated" unless `aud` has one of the audiences. */
export function checkAudience({ aud }: JsonObject, audiences: readonly string[]): void {
  const named = typeof aud === "string" ? [aud] : readStrings(aud, "aud");
  if (!named.some((it) => audiences.includes(it)))
    throw tokenError(`the aud does not contain ${displayValue(audiences[0])}`);
}

/** Throws "unauthenticated" if a token is from another issuer; undefined = any. */
export function checkIssuer({ iss }: JsonObject, issuer: string | undefined): void {
  if (issuer !== undefined && iss !== issuer)
    throw tokenError(`the iss is ${displayValue(iss)}, not ${displayValue(issuer)}`);
}

/** Throws "unauthenticated" for everything that the draft does not allow. A token without details is valid and grants nothing. */
export function readRightsV8<S>(claims: JsonObject, parse: ParseSelector<S>): Rights<S> {
  const details = readDetails(claims[CLAIM]).map((entry, index) => readDetail(entry, `detail ${index}`));
  const topics = details.reduce((sum, detail) => sum + detail.topics.length, 0);
  if (topics > MAX_TOPIC_COUNT)
    throw tokenError(`the details have ${topics} topics, at most ${MAX_TOPIC_COUNT} are accepted`);
  const parsed = details.map(({ topics, ...rest }) => ({ ...rest, topics: topics.map((topic) => topic(parse)) }));
  const subscribe = parsed.filter(({ actions }) => actions.includes("subscribe"));
  return {
    publish: parsed.filter(({ actions }) => actions.includes("publish")).flatMap(({ topics }) => topics),
    subscribe: subscribe.flatMap(({ topics }) => topics),
    payloads: subscribe.map(({ topics, payload }) => ({ topics, payload })),
  };
}

/** The Mercure entries; entries of other types are for other resources. */
function readDetails(value: unknown): readonly JsonObject[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw tokenError(`the claim ${CLAIM} is ${displayValue(value)}, not a list`);
  const wrong = value.find((entry) => !isObject(entry));
  if (wrong !== undefined) throw tokenError(`the claim ${CLAIM} contains ${displayValue(wrong)}, not an object`);
  const details = value.filter((entry: JsonObject) => entry.type === DETAIL_TYPE);
  if (details.length > MAX_DETAIL_COUNT)
    throw tokenError(`the token has ${details.length} details, at most ${MAX_DETAIL_COUNT} are accepted`);
  return details;
}

/** A topic is parsed after the number of all topics is checked, since parsing is expensive. */
interface Detail {
  readonly actions: readonly string[];
  readonly topics: readonly (<S>(parse: ParseSelector<S>) => S)[];
  readonly payload: JsonValue | undefined;
}

/** Unknown actions grant nothing and are allowed: their registry is open. */
function readDetail({ actions, topics, payload }: JsonObject, where: string): Detail {
  const names = readStrings(actions, `${where}, actions`);
  if (names.length === 0) throw tokenError(`${where} has no actions`);
  if (!Array.isArray(topics) || topics.length === 0) throw tokenError(`${where} has no list of topics`);
  if (payload !== undefined && !isObject(payload)) throw tokenError(`the payload of ${where} is not an object`);
  return {
    actions: names,
    topics: topics.map((topic, index) => readTopic(topic, `${where}, topic ${index}`)),
    payload: payload === undefined ? undefined : readPayload(payload),
  };
}

function readTopic(topic: unknown, where: string): Detail["topics"][number] {
  if (!isObject(topic)) throw tokenError(`${where} is ${displayValue(topic)}, not an object`);
  const kind = readKind(topic, where);
  const { match } = topic;
  return (parse) => readSelector(parse, kind, match, where);
}

/** Absent = exact. Null, other cases and unsupported types are invalid. */
function readKind(topic: JsonObject, where: string): SelectorKind {
  if (!Object.hasOwn(topic, "match_type")) return "exact";
  const { match_type: type } = topic;
  if (type === "exact" || type === "urlpattern") return type;
  throw tokenError(`the match_type of ${where} is ${displayValue(type)}, not "exact" or "urlpattern"`);
}
