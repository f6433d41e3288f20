/**
 * Tokens of Mercure 0.x (draft-dunglas-mercure-07, "Authorization"): the claim `mercure`, or `https://mercure.rocks/`, which has
 * priority, with lists of selectors. Any `typ`; `exp` and `nbf` apply if present; `aud` is ignored.
 */
import { isObject, type JsonObject, readPayload, readStrings } from "./claims.js";
import { type ParseSelector, type Rights, readSelector } from "./grants.js";
import { displayValue, tokenError } from "./token-refusal.js";

const CLAIM = "mercure";
const NAMESPACED_CLAIM = "https://mercure.rocks/";
/** Selectors of one token, both lists together. The draft has no limit. */
const MAX_SELECTOR_COUNT = 1_000;

/** Whether a token has a claim of Mercure 0.x. */
export function hasRightsV0(claims: JsonObject): boolean {
  return Object.hasOwn(claims, CLAIM) || Object.hasOwn(claims, NAMESPACED_CLAIM);
}

/** A list that is absent or null grants nothing. Throws "unauthenticated" for everything that the draft does not allow. */
export function readRightsV0<S>(claims: JsonObject, parse: ParseSelector<S>): Rights<S> {
  const claim = claims[NAMESPACED_CLAIM] ?? claims[CLAIM];
  if (!isObject(claim)) throw tokenError(`the mercure claim is ${displayValue(claim)}, not an object`);
  const publish = readStrings(claim.publish ?? [], "mercure.publish");
  const subscribe = readStrings(claim.subscribe ?? [], "mercure.subscribe");
  const count = publish.length + subscribe.length;
  if (count > MAX_SELECTOR_COUNT) {
    throw tokenError(`the token has ${count} selectors, at most ${MAX_SELECTOR_COUNT} are accepted`);
  }
  return {
    publish: publish.map((value, index) => readSelector(parse, "template", value, `mercure.publish[${index}]`)),
    subscribe: subscribe.map((value, index) => readSelector(parse, "template", value, `mercure.subscribe[${index}]`)),
    payloads: payloads(claim.payload, parse),
  };
}

/** One payload for every subscription. */
function payloads<S>(payload: unknown, parse: ParseSelector<S>): Rights<S>["payloads"] {
  if (payload === undefined || payload === null) return [];
  return [{ topics: [parse("template", "*")], payload: readPayload(payload) }];
}
