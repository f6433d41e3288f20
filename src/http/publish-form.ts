/** The fields of a form that publishes (Mercure, "Publishing"), and our own: `ttl` and `final`. Unknown fields are ignored. */
import { ProtocolError } from "../errors.js";
import type { Draft } from "../protocol/draft.js";
import { LIMITS } from "../protocol/limits.js";
import { readTtl } from "../protocol/ttl.js";
import { parseFormBody, valuesOf } from "./form.js";
import type { MercureDialect } from "./mercure/dialect.js";

/** Parses the event, which is not checked yet. Throws "invalid" or "too_large". */
export function parsePublishForm(body: Buffer, dialect: MercureDialect): Draft {
  const form = parseFormBody(body);
  const [topic, ...alternates] = valuesOf(form, "topic");
  if (topic === undefined) throw new ProtocolError("invalid", 'missing "topic" parameter');
  if (alternates.length >= LIMITS.topics) {
    throw new ProtocolError(dialect.tooManyTopicsCode, `more than ${LIMITS.topics} topics`);
  }
  const [id, type, retry, ttl] = ["id", "type", "retry", "ttl"].map((name) => valuesOf(form, name)[0] || undefined);
  const isPresent = (flag: string) => form.some(([name]) => name === flag);
  return {
    topics: [topic, ...alternates],
    data: valuesOf(form, "data")[0] ?? "",
    private: isPresent("private"),
    ...(id !== undefined && { id }),
    ...(type !== undefined && { type }),
    ...(retry !== undefined && { retry: parseMilliseconds(retry) }),
    ...(ttl !== undefined && { ttlMs: readTtl(ttl) }),
    ...(isPresent("final") && { final: true }),
  };
}

function parseMilliseconds(digits: string): number {
  if (!/^[0-9]+$/.test(digits)) throw new ProtocolError("invalid", "retry is not a whole number of milliseconds");
  return Number(digits);
}
