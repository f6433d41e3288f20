/**
 * Publishes each idempotency key once. A key belongs to a whole request (`PublishRequest.key`) or to one event (`Draft.key`):
 *
 * - stored: a repeat within the window gets the ids of the first one, and nothing is published. Other content is "key_reused".
 * - running: a repeat waits for the first one, and has its result.
 * - otherwise the events are published, and the key is stored with them (StoredKey); where they are not stored, neither is the key.
 *
 * From the look-up to hub.publish() nothing is awaited, so that a key cannot be published by two requests, and consecutive requests keep
 * their order.
 */
import type { History } from "../delivery/history.js";
import { ProtocolError } from "../errors.js";
import type { PublishedEvent } from "../hub/bus.js";
import { positionId } from "../protocol/position.js";
import type { Draft } from "../protocol/publication.js";
import type { KeyEntry } from "../protocol/stored-key.js";
import { checkKey, fingerprintOf, hashKey } from "./hash-key.js";
import type { PublishCondition } from "./publish-condition.js";
import type { PublishRequest } from "./publish-request.js";

export interface KeyedPublisherOptions {
  readonly keys: Pick<History, "findKey">;
  /** Publishes events, one or several; see Publisher.publish. */
  readonly publish: (
    drafts: readonly Draft[],
    condition: PublishCondition | undefined,
  ) => Promise<readonly PublishedEvent[]>;
  /** Called for each request or event that was published before. */
  readonly repeated: () => void;
}

/** One event with a key, or a request with one: the drafts that share the key. */
interface Keyed {
  readonly hash: string;
  readonly fingerprint: string;
  readonly drafts: readonly Draft[];
}

/** A publication that is under way; the results from `index` on are those of the key. */
interface Running {
  readonly fingerprint: string;
  readonly published: Promise<readonly PublishedEvent[]>;
  readonly index: number;
  readonly count: number;
}

/** What is published of a request, and where the result of each of its events comes from. */
interface Plan {
  readonly drafts: Draft[];
  readonly keyed: { readonly it: Keyed; readonly index: number }[];
  /** The result of an earlier request, or the index of a draft. */
  readonly results: (PublishedEvent | number)[];
}

export class KeyedPublisher {
  readonly #options: KeyedPublisherOptions;
  /** By hash. */
  readonly #running = new Map<string, Running>();

  constructor(options: KeyedPublisherOptions) {
    this.#options = options;
  }

  /** Whether the request or one of its events has a key. */
  static concerns({ key, drafts }: PublishRequest): boolean {
    return key !== undefined || drafts.some((draft) => draft.key !== undefined);
  }

  /** As Publisher.publish; throws "invalid" for a key that is not allowed, and "key_reused". */
  async publish({ drafts, publisher, key, condition }: PublishRequest): Promise<readonly PublishedEvent[]> {
    const ownKeys = drafts.filter((draft) => draft.key !== undefined).length;
    // Events that have keys, all of them, need none of the request: CloudEvents have theirs always.
    if (key === undefined || ownKeys === drafts.length) return this.#publishEvents(drafts, publisher, condition);
    checkKey(key);
    if (ownKeys > 0)
      throw new ProtocolError("invalid", "under an Idempotency-Key all events have keys, or none has one");
    const keyed = { hash: hashKey("request", publisher, key), fingerprint: fingerprintOf(drafts), drafts };
    return this.#publishRequest(keyed, condition);
  }

  /** A condition is not checked for a repeat: the first one has met it, and has changed the newest event. */
  #publishRequest(
    keyed: Keyed,
    condition: PublishCondition | undefined,
  ): Promise<readonly PublishedEvent[]> | readonly PublishedEvent[] {
    const running = this.#runningOf(keyed);
    const earlier = running ? resultsOf(running) : this.#storedOf(keyed);
    if (earlier) {
      this.#options.repeated();
      return earlier;
    }
    const { hash, fingerprint, drafts } = keyed;
    const [first, ...others] = drafts;
    if (first === undefined) throw new TypeError("a request without events");
    const storedKey = { hash, fingerprint, count: drafts.length };
    return this.#run([{ it: keyed, index: 0 }], [{ ...first, storedKey }, ...others], condition);
  }

  async #publishEvents(
    drafts: readonly Draft[],
    scope: string,
    condition: PublishCondition | undefined,
  ): Promise<readonly PublishedEvent[]> {
    const keyed = drafts.map((draft) => keyedEvent(draft, scope));
    for (;;) {
      const running = keyed.flatMap((it) => (it && this.#runningOf(it)) ?? []);
      if (running.length === 0) break;
      // An error of the first one is the error of its repeat, and then nothing of this request is published.
      for (const result of (await Promise.all(running.map(resultsOf))).flat())
        if ("error" in result) throw result.error;
    }
    const plan = this.#plan(drafts, keyed);
    const published = plan.drafts.length === 0 ? [] : await this.#run(plan.keyed, plan.drafts, condition);
    return plan.results.map((result) => (typeof result === "number" ? (published[result] as PublishedEvent) : result));
  }

  /** Of equal keys in one request, the first is published and the others are its repeats. */
  #plan(drafts: readonly Draft[], keyed: readonly (Keyed | undefined)[]): Plan {
    const plan: Plan = { drafts: [], keyed: [], results: [] };
    const firsts = new Map<string, Keyed & { readonly index: number }>();
    for (const [place, draft] of drafts.entries()) {
      const it = keyed[place];
      const first = it && firsts.get(it.hash);
      if (first && first.fingerprint !== it.fingerprint) throw keyReused();
      const earlier = first?.index ?? (it && this.#storedOf(it)?.[0]);
      if (earlier !== undefined) this.#options.repeated();
      plan.results.push(earlier ?? plan.drafts.length);
      if (earlier !== undefined) continue;
      const index = plan.drafts.length;
      plan.drafts.push(it ? { ...draft, storedKey: { hash: it.hash, fingerprint: it.fingerprint, count: 1 } } : draft);
      if (!it) continue;
      plan.keyed.push({ it, index });
      firsts.set(it.hash, { ...it, index });
    }
    return plan;
  }

  async #run(
    keyed: Plan["keyed"],
    drafts: readonly Draft[],
    condition: PublishCondition | undefined,
  ): Promise<readonly PublishedEvent[]> {
    const published = this.#options.publish(drafts, condition);
    for (const { it, index } of keyed) {
      const { hash, fingerprint, drafts: own } = it;
      this.#running.set(hash, { fingerprint, published, index, count: own.length });
    }
    try {
      return await published;
    } finally {
      for (const { it } of keyed) this.#running.delete(it.hash);
    }
  }

  #runningOf({ hash, fingerprint }: Keyed): Running | undefined {
    const running = this.#running.get(hash);
    if (running && running.fingerprint !== fingerprint) throw keyReused();
    return running;
  }

  /** In a cluster, the entry of a batch is that of its first event: the others are looked up by the bus. */
  #storedOf({ hash, fingerprint, drafts }: Keyed): readonly PublishedEvent[] | undefined {
    const entry = this.#options.keys.findKey(hash);
    if (entry === undefined) return undefined;
    if (entry.fingerprint !== fingerprint) throw keyReused();
    return entry.count === drafts.length
      ? drafts.map((draft, index) => ({ id: idOf(draft, entry, index) }))
      : undefined;
  }
}

function keyedEvent(draft: Draft, scope: string): Keyed | undefined {
  if (draft.key === undefined) return undefined;
  return { hash: hashKey("event", scope, draft.key), fingerprint: fingerprintOf([draft]), drafts: [draft] };
}

/** The events of a key have consecutive offsets; a publisher's own id is part of the fingerprint, and so it is that of the repeat. */
const idOf = ({ id }: Draft, { epoch, offset }: KeyEntry, index: number): string =>
  id ?? positionId(epoch, offset + index);

async function resultsOf({ published, index, count }: Running): Promise<readonly PublishedEvent[]> {
  return (await published).slice(index, index + count);
}

function keyReused(): ProtocolError {
  return new ProtocolError("key_reused", "the idempotency key was used for something else; fix: use a new key");
}
