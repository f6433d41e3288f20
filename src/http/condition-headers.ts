/** `If-Match` and `If-None-Match` of a request that publishes (RFC 9110 section 13.1). The entity tag of an event is its id. */
import { ProtocolError } from "../errors.js";
import { type HttpRequest, header } from "../protocol/request.js";
import type { PublishCondition } from "../publishing/publish-condition.js";

/** Characters that an entity tag cannot have, and "%", which encodes them. */
const ENCODED_IN_TAG = /[^\x21\x23\x24\x26-\x7e]/gu;
const ENTITY_TAG = /(W\/)?"([^"]*)"/g;
const ENTITY_TAGS = /^(?:W\/)?"[^"]*"(?:[ \t]*,[ \t]*(?:W\/)?"[^"]*")*$/;

/** Undefined = the request has no condition. Throws "invalid", or "unsupported" for a condition on something else. */
export function readCondition(request: HttpRequest): PublishCondition | undefined {
  const match = joined(request, "if-match");
  const noneMatch = joined(request, "if-none-match");
  if (match === undefined && noneMatch === undefined) return undefined;
  if (match !== undefined && noneMatch !== undefined) {
    throw new ProtocolError("invalid", "either If-Match or If-None-Match, not both");
  }
  if (match !== undefined) return { kind: "matches", ids: match === "*" ? "any" : idsOf(match) };
  if (noneMatch === "*") return { kind: "absent" };
  throw new ProtocolError("unsupported", "of If-None-Match only * is supported");
}

/** The entity tag of an event with this id. */
export function entityTag(id: string): string {
  return `"${id.replace(ENCODED_IN_TAG, encodeURIComponent)}"`;
}

function joined(request: HttpRequest, name: string): string | undefined {
  const { headers } = request;
  if (!headers.has(name)) return undefined;
  return headers.get(name)?.length === 1 ? header(request, name) : headers.get(name)?.join(",");
}

/** The ids of a list of entity tags. A weak tag matches nothing (section 13.1.1). */
function idsOf(tags: string): string[] {
  if (!ENTITY_TAGS.test(tags)) {
    throw new ProtocolError("invalid", 'If-Match must be * or event ids in quotes, such as "7"');
  }
  return [...tags.matchAll(ENTITY_TAG)].flatMap(([, weak, tag = ""]) => (weak ? [] : [decoded(tag)]));
}

/** The reverse of the encoding. A tag that is not encoded is the id as it is, unless it contains "%". */
function decoded(tag: string): string {
  try {
    return decodeURIComponent(tag);
  } catch {
    throw new ProtocolError("invalid", "If-Match has percent-encoded bytes that are not UTF-8");
  }
}
