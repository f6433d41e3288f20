/**
 * Publishes events with idempotency keys to the stream. The message id is derived from the key, so that the stream stores a repeat once
 * within its window for duplicates. Beyond that window, or from two daemons, a repeat is a second message: every daemon skips it when it
 * takes it, because it knows the key (cluster-keys.ts). So the publisher is answered after this daemon has taken the message.
 */
import { M2pushError, ProtocolError } from "../errors.js";
import { positionDraft } from "../protocol/position.js";
import type { Draft, Publication } from "../protocol/publication.js";
import { hashText, type KeyEntry } from "../protocol/stored-key.js";
import type { Clock } from "../util/clock.js";
import type { ClusterHistory } from "./cluster-history.js";
import type { TakenSequences } from "./taken-sequences.js";

export interface KeyedStreamPublisherOptions {
  readonly clock: Clock;
  readonly history: Pick<ClusterHistory, "findKey" | "last">;
  readonly publish: (draft: Draft) => Promise<Publication>;
  readonly taken: Pick<TakenSequences, "waitFor">;
}

/** A daemon that is this far behind the stream does not answer publications with keys: it may not know a key. */
const MAX_LAG_MS = 60_000;
type KeyedDraft = Draft & Required<Pick<Draft, "storedKey">>;

export class KeyedStreamPublisher {
  readonly #options: KeyedStreamPublisherOptions;
  /** When the daemon was last known to have taken everything that the stream had; undefined = disconnected. */
  #upToDateAt: number | undefined;
  /** The last sequence of the stream at the previous inspection. */
  #inspectedLast = 0;

  constructor(options: KeyedStreamPublisherOptions) {
    this.#options = options;
  }

  connected(): void {
    this.#upToDateAt = this.#options.clock.monotonic();
  }

  disconnected(): void {
    this.#upToDateAt = undefined;
  }

  /** The stream was inspected: `last` is its last sequence. */
  inspected(last: number): void {
    if (this.#upToDateAt !== undefined && this.#options.history.last >= this.#inspectedLast) this.connected();
    this.#inspectedLast = last;
  }

  /** As Bus.publish. Rejects with "key_reused"; with "unavailable" also while the daemon is not up to date. */
  async publish(draft: KeyedDraft): Promise<Publication> {
    const { clock, history, publish, taken } = this.#options;
    if (this.#upToDateAt === undefined) throw unavailable("the daemon is disconnected from NATS");
    if (clock.monotonic() - this.#upToDateAt > MAX_LAG_MS) throw unavailable("the daemon lags behind the stream");
    const { hash } = draft.storedKey;
    const known = history.findKey(hash);
    if (known) return this.#first(draft, known);
    const publication = await publish(draft);
    if (!(await taken.waitFor(publication.offset)))
      throw unavailable("the stream has stored the event, and did not deliver it yet");
    const entry = history.findKey(hash);
    return entry ? this.#first(draft, entry) : publication;
  }

  #first(draft: KeyedDraft, { fingerprint, epoch, offset }: KeyEntry): Publication {
    if (fingerprint !== draft.storedKey.fingerprint)
      throw new ProtocolError("key_reused", "the idempotency key was used for something else; fix: use a new key");
    return positionDraft(draft, epoch, offset, this.#options.clock.now());
  }
}

/** The key of a batch, which the stream stores event by event, becomes one key for each event. */
export function spreadKey(drafts: readonly Draft[]): readonly Draft[] {
  const [first] = drafts;
  if (first?.storedKey === undefined || first.storedKey.count === 1) return drafts;
  const { hash, fingerprint } = first.storedKey;
  return drafts.map((draft, index) => ({
    ...draft,
    storedKey: { hash: index === 0 ? hash : hashText(`${hash} ${index}`), fingerprint, count: 1 },
  }));
}

function unavailable(why: string): M2pushError {
  return new M2pushError("unavailable", `an event with an idempotency key is not published: ${why}`);
}
