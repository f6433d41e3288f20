/**
 * Takes publications back for a publisher: finds those that a removal concerns, checks that the publisher may remove each of them, and
 * publishes the removal. It concerns what was stored when it was checked; an event that comes meanwhile stays.
 */
import type { History } from "../delivery/history.js";
import { M2pushError, ProtocolError, tooManyRequests } from "../errors.js";
import type { Hub } from "../hub/hub.js";
import { offsetOf } from "../protocol/position.js";
import { concerns, type RemovalTarget } from "../protocol/removal.js";
import { JobQueue } from "../util/job-queue.js";
import type { RateLimiter } from "./rate-limiter.js";

export interface RemoverOptions {
  readonly hub: Pick<Hub, "remove">;
  /** The visible one. */
  readonly history: Pick<History, "epoch" | "last" | "read" | "find" | "removals">;
  /** A removal counts as one event. Absent = no limit. */
  readonly rates?: Pick<RateLimiter, "takeRequest">;
}

export interface RemovalRequest {
  readonly target: RemovalTarget;
  /** See PublishRequest. */
  readonly publisher: string;
  /** Whether the publisher may remove an event with these topics. */
  readonly mayRemove: (topics: readonly string[]) => boolean;
}

/** Events read in one turn of the event loop: about 1 ms. */
const PAGE_EVENTS = 250;
const PAGE_BYTES = 1_000_000;
/** Removals that the store has not applied yet; beyond them requests are rejected. */
const MAX_UNAPPLIED_COUNT = 1000;

export class Remover {
  readonly #options: RemoverOptions;
  readonly #jobs = new JobQueue(tooManyRequests);

  constructor(options: RemoverOptions) {
    this.#options = options;
  }

  /**
   * Resolves with the number of removed events, when the removal is as durable as configured. Rejects with "not_found" where there is none,
   * with "forbidden" where the publisher may not remove all of them (then none is), with "rate_limited", and with "unavailable" where too
   * many removals are under way.
   */
  remove(request: RemovalRequest): Promise<number> {
    const { rates, history } = this.#options;
    const retryAfterMs = rates?.takeRequest(request.publisher) ?? 0;
    if (retryAfterMs > 0)
      return Promise.reject(
        new ProtocolError("rate_limited", "too many events; fix: repeat it later", { retryAfterMs }),
      );
    if (history.removals.size >= MAX_UNAPPLIED_COUNT) return Promise.reject(tooManyRequests());
    return this.#jobs.run(() => this.#remove(request));
  }

  async #remove({ target, mayRemove }: RemovalRequest): Promise<number> {
    const { hub, history } = this.#options;
    const { epoch } = history;
    const { after, through } = await this.#rangeOf(target);
    const checked = new Set<string>();
    let [count, first] = [0, 0];
    for (let at = after; at < through; ) {
      const match = (publication: Parameters<typeof concerns>[1]) => concerns(target, publication);
      // What is hidden is removed as well, and so it must be granted.
      const shown = { kept: true, hidden: true } as const;
      const page = await history.read(at, { through, maxBytes: PAGE_BYTES, most: PAGE_EVENTS, match, ...shown });
      const topics = new Set(page.publications.flatMap((it) => it.topics).filter((it) => !checked.has(it)));
      if (topics.size > 0 && !mayRemove([...topics])) throw notGranted();
      for (const topic of topics) checked.add(topic);
      count += page.publications.length;
      first ||= page.publications[0]?.offset ?? 0;
      at = Math.max(page.through, at + 1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (count === 0) throw new ProtocolError("not_found", "no stored event matches");
    if (history.epoch !== epoch) throw new M2pushError("unavailable", "a new epoch has begun; fix: repeat it");
    await hub.remove({ ...target, after: first - 1, through });
    return count;
  }

  /** The offsets between which events can match: an id is looked up. */
  async #rangeOf(target: RemovalTarget): Promise<{ readonly after: number; readonly through: number }> {
    const { history } = this.#options;
    const { last, epoch } = history;
    if (!("id" in target)) return { after: 0, through: last };
    const offset = offsetOf(epoch, target.id);
    const first = offset ?? (await history.find(target.id, "oldest")) ?? last;
    return { after: first - 1, through: Math.min(offset ?? last, last) };
  }
}

const notGranted = () =>
  new ProtocolError(
    "forbidden",
    "the token grants publishing, but not on every topic of the events that would be removed",
  );
