/**
 * Idempotency keys of the stream that a daemon follows, in memory. Every daemon takes the same messages in the same order, and a key's age
 * is the difference of two stamps of the stream: so all daemons skip the same repeats, whatever their clocks are.
 */
import { RecentKeys } from "../delivery/recent-keys.js";
import type { Publication } from "../protocol/publication.js";

export class ClusterKeys extends RecentKeys {
  /** Whether an earlier message of the stream has the same key: no daemon delivers this one. */
  isRepeat({ storedKey, offset, time }: Publication, epoch: string): boolean {
    const earlier = storedKey && this.find(storedKey.hash, time);
    return earlier !== undefined && (earlier.epoch !== epoch || earlier.offset < offset);
  }
}
