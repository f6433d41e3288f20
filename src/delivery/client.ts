/** One browser connection that streams: what the hub knows of it. */
import type { Audience } from "./audience.js";
import type { CatchupGroup } from "./catchup.js";
import type { Subscriber } from "./ports.js";

export interface Client {
  /** Mongrel2's connection id: unique within one server and one lifetime of that Mongrel2. */
  readonly id: number;
  /** The peer's address as Mongrel2 gave it (REMOTE_ADDR). */
  readonly remote: string;
  /** When it subscribed, milliseconds of the monotonic clock. */
  readonly since: number;
  /** When what it may see ends, and its stream with it: milliseconds since 1970; undefined = never. */
  readonly expiresAt: number | undefined;
  /** Of the keys that its tokens were signed by; undefined = it came without a token. */
  readonly keyFingerprints: readonly string[] | undefined;
  /** Who it is for those who watch subscriptions come and go; undefined = nobody is told of it. Opaque to the hub. */
  readonly subscriber: Subscriber | undefined;
  /** The audience it rides, or will ride once it has caught up. Everyone in it asked for the same and may see the same. */
  readonly audience: Audience;
  /** Where it gets its publications from: undefined = live, with its audience; a group = from history, catching up. */
  behind: CatchupGroup | undefined;
  /** Mongrel2 has taken everything up to this offset for it (proven by a fence, or it asked to begin there). */
  acknowledgedOffset: number;
  /** Whether what its server's outbox has fenced counts for it too. */
  coveredByServerFence: boolean;
  /** How many bytes may be under way to it (Mongrel2's DOWNLOAD_CREDITS); Infinity without flow control. */
  readonly creditLimit: number;
  /** How many more may be sent to it now: the allowance less what is under way. */
  creditAvailable: number;
  /** While live: its place in the audience's dense list; kept by the audience. */
  slot: number;
}
