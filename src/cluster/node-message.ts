/** The messages by which the nodes of a cluster tell each other about themselves and their subscribers: see nodes.ts. */
import type { Subscriber } from "../delivery/subscriber.js";
import type { NodeState } from "../hub/node-state.js";
import { isRevocation, type Revocation } from "../hub/revocations.js";

/** Subscribers in one message, as JSON: far below the 1 MB of NATS' max_payload. */
const MAX_MESSAGE_CHARACTERS = 100_000;

export interface NodeMessage {
  readonly node: string;
  /** One more than the last of this node's messages. */
  readonly number: number;
  readonly state: NodeState;
  /** Replaces the node's subscribers by those in `joined`, here and in the messages that follow. */
  readonly full?: true;
  readonly joined?: readonly Subscriber[];
  /** Ids of the subscribers in `joined` that have just subscribed. */
  readonly began?: readonly string[];
  readonly left?: readonly string[];
  /** Subscribers that this node sent as joined, with their present subscriptions. */
  readonly changed?: readonly Subscriber[];
  /** Subscribers that left, and that this node never sent as joined: an earlier process served them. */
  readonly ended?: readonly Subscriber[];
  /** Tokens that were revoked on this node, or all that it knows of. */
  readonly revoked?: readonly Revocation[];
  /** The node whose full state is requested; "*" = every node. */
  readonly ask?: string;
  /** The node stops. */
  readonly gone?: true;
}

/** Splits subscribers, or revocations, into messages of about MAX_MESSAGE_CHARACTERS. */
export function* chunks<T>(items: Iterable<T>): Iterable<T[]> {
  let [chunk, size]: [T[], number] = [[], 0];
  for (const item of items) {
    chunk.push(item);
    size += JSON.stringify(item).length;
    if (size < MAX_MESSAGE_CHARACTERS) continue;
    yield chunk;
    [chunk, size] = [[], 0];
  }
  if (chunk.length > 0) yield chunk;
}

/** Undefined for a message of another format. Writers of this subject are trusted, but may have another version. */
export function parseMessage(data: Uint8Array): NodeMessage | undefined {
  try {
    const message = JSON.parse(Buffer.from(data).toString()) as Partial<NodeMessage> | null;
    const isOurs =
      typeof message?.node === "string" &&
      typeof message.number === "number" &&
      typeof message.state?.name === "string" &&
      typeof message.state.position === "number" &&
      areSubscribers(message.joined ?? []) &&
      areSubscribers(message.changed ?? []) &&
      areSubscribers(message.ended ?? []) &&
      Array.isArray(message.revoked ?? []) &&
      (message.revoked ?? []).every(isRevocation) &&
      [message.left, message.began].every((list) => Array.isArray(list ?? []));
    return isOurs ? (message as NodeMessage) : undefined;
  } catch {
    return undefined;
  }
}

const areSubscribers = (list: unknown): boolean =>
  Array.isArray(list) && list.every((it) => typeof it?.id === "string" && Array.isArray(it.subscriptions));
