/**
 * A removal: a record in the order of publications that takes earlier ones back. Every store and every daemon applies the same record, so
 * it says which publications it concerns, and up to which offset: those that were stored when the request was authorized.
 */
import { ProtocolError } from "../errors.js";

/** What a removal concerns. */
export type RemovalTarget =
  /** Publications that have this topic, among others or alone. */
  | { readonly topic: string }
  /** Publications with this id. */
  | { readonly id: string }
  /** Publications from before this time, milliseconds since 1970. */
  | { readonly before: number };

export type Removal = RemovalTarget & {
  /** The highest offset that it concerns. */
  readonly through: number;
  /** It concerns no offset up to this one: a store that applies it begins there. Absent = 0. */
  readonly after?: number;
};

/** What a target is compared with: see Publication. */
interface Removable {
  readonly id: string;
  readonly topics: readonly string[];
  readonly time: number;
}

/** Whether a target concerns a publication, whatever its offset is. */
export function concerns(target: RemovalTarget, { id, topics, time }: Removable): boolean {
  if ("topic" in target) return topics.includes(target.topic);
  return "id" in target ? id === target.id : time < target.before;
}

/** Reads a removal from JSON, parsed or as bytes. Throws "invalid". */
export function readRemoval(from: unknown): Removal {
  const value = Buffer.isBuffer(from) ? parse(from) : from;
  const { topic, id, before, through, after = 0 } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const areOffsets = Number.isSafeInteger(through) && Number.isSafeInteger(after);
  const targets = [topic, id, before].filter((it) => it !== undefined);
  if (!areOffsets || targets.length !== 1) throw invalid();
  const range = { through: Number(through), ...(after !== 0 && { after: Number(after) }) };
  if (typeof topic === "string") return { topic, ...range };
  if (typeof id === "string") return { id, ...range };
  if (typeof before === "number") return { before, ...range };
  throw invalid();
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    throw invalid();
  }
}

const invalid = () => new ProtocolError("invalid", "it is no removal");
