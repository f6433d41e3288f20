/**
 * Tokens of draft-dunglas-mercure-08: OAuth access tokens (RFC 9068) whose `authorization_details` (RFC 9396) say what may
 * be done. One wrong entry spoils the whole token: what was meant by it cannot be known, and a part may be more than was meant.
 * `sub`, `client_id`, `iat` and `jti` are the issuer's duty; a hub need not look, and tokens without them are about.
 */
import { isObject, type JsonObject, type JsonPayload, readPayload, readStrings } from "./claims.js";
import { type ParseSelector, type Rights, readSelector, type SelectorKind } from "./grants.js";
import { displayValue, tokenError } from "./refusal.js";

/** Whose tokens are good, and the names that they may call this hub by: the claims `iss` and `aud`, compared byte for byte. */
export interface TokenAuthority {
  /** Undefined: whoever has the key; a token must still say who that is. */
  readonly issuer: string | undefined;
  readonly audiences: readonly string[];
}

const CLAIM = "authorization_details";
const DETAIL_TYPE = "https://mercure.rocks/authorization-detail";
/** Mercure entries of one token, and topics of all of them together; the numbers of the Mercure reference hub. */
const MAX_DETAILS = 100;
const MAX_TOPICS = 100;

/** Whether a token is, or claims to be, one of these; an access token is never read as a token of Mercure 0.x. */
export function isAccessToken(header: JsonObject, claims: JsonObject): boolean {
  return hasAccessType(header) || Object.hasOwn(claims, CLAIM);
}

/** `at+jwt`, a media type: case does not count, and "application/" may stand before it (RFC 9068 sections 2.1 and 4). */
function hasAccessType({ typ }: JsonObject): boolean {
  return typeof typ === "string" && /^(?:application\/)?at\+jwt$/i.test(typ);
}

/** Checks `typ`, `iss` and `aud`; throws "unauthenticated". Without an authority nobody's tokens are good. */
export function checkAccessToken(header: JsonObject, claims: JsonObject, authority: TokenAuthority | undefined): void {
  if (!hasAccessType(header)) throw tokenError(`its typ is ${displayValue(header.typ)}, not "at+jwt"`);
  if (authority === undefined) throw tokenError("access tokens (Mercure draft-08) are turned off");
  const { iss, aud } = claims;
  const { issuer, audiences } = authority;
  if (issuer === undefined && (typeof iss !== "string" || iss === ""))
    throw tokenError(`its iss is ${displayValue(iss)}, no name`);
  checkIssuer(claims, issuer);
  const named = typeof aud === "string" ? [aud] : readStrings(aud, "aud");
  if (!named.some((it) => audiences.includes(it)))
    throw tokenError(`its aud does not have ${displayValue(audiences[0])}`);
}

/** Throws "unauthenticated" when a token is of another issuer; undefined = any. */
export function checkIssuer({ iss }: JsonObject, issuer: string | undefined): void {
  if (issuer !== undefined && iss !== issuer)
    throw tokenError(`its iss is ${displayValue(iss)}, not ${displayValue(issuer)}`);
}

/** Throws "unauthenticated" for anything that is not what the draft says. A token without details is good and grants nothing. */
export function readRightsV8<S>(claims: JsonObject, parse: ParseSelector<S>): Rights<S> {
  const details = readDetails(claims[CLAIM]).map((entry, index) => readDetail(entry, `detail ${index}`));
  const topics = details.reduce((sum, detail) => sum + detail.topics.length, 0);
  if (topics > MAX_TOPICS) throw tokenError(`its details have ${topics} topics, at most ${MAX_TOPICS} are taken`);
  const parsed = details.map(({ topics, ...rest }) => ({ ...rest, topics: topics.map((topic) => topic(parse)) }));
  const subscribe = parsed.filter(({ actions }) => actions.includes("subscribe"));
  return {
    publish: parsed.filter(({ actions }) => actions.includes("publish")).flatMap(({ topics }) => topics),
    subscribe: subscribe.flatMap(({ topics }) => topics),
    payloads: subscribe.map(({ topics, payload }) => ({ topics, payload })),
  };
}

/** The Mercure entries; those of other types are other resources' business. */
function readDetails(value: unknown): readonly JsonObject[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw tokenError(`its ${CLAIM} is ${displayValue(value)}, not a list`);
  const wrong = value.find((entry) => !isObject(entry));
  if (wrong !== undefined) throw tokenError(`its ${CLAIM} has ${displayValue(wrong)} in it, not an object`);
  const details = value.filter((entry: JsonObject) => entry.type === DETAIL_TYPE);
  if (details.length > MAX_DETAILS)
    throw tokenError(`it has ${details.length} details, at most ${MAX_DETAILS} are taken`);
  return details;
}

/** A topic is parsed only when the number of all topics is known to be fair: parsing costs. */
interface Detail {
  readonly actions: readonly string[];
  readonly topics: readonly (<S>(parse: ParseSelector<S>) => S)[];
  readonly payload: JsonPayload | undefined;
}

/** Actions that are none of ours grant nothing and do no harm: the registry of them is open. */
function readDetail({ actions, topics, payload }: JsonObject, where: string): Detail {
  const names = readStrings(actions, `${where}, actions`);
  if (names.length === 0) throw tokenError(`${where} has no actions`);
  if (!Array.isArray(topics) || topics.length === 0) throw tokenError(`${where} has no list of topics`);
  if (payload !== undefined && !isObject(payload)) throw tokenError(`the payload of ${where} is no object`);
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

/** Absent means exact; null, other cases and types that are not served do not. */
function readKind(topic: JsonObject, where: string): SelectorKind {
  if (!Object.hasOwn(topic, "match_type")) return "exact";
  const { match_type: type } = topic;
  if (type === "exact" || type === "urlpattern") return type;
  throw tokenError(`the match_type of ${where} is ${displayValue(type)}, not "exact" or "urlpattern"`);
}
