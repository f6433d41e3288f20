/** What is known of a client when it connects. */
import type { StreamControl } from "./stream-control.js";
import type { Subscriber } from "./subscriber.js";

/** Only a change of its topics replaces `subscriber` and `control`. */
export interface ClientIdentity {
  /** Mongrel2's connection id: unique within one server and one generation of its link. */
  readonly id: number;
  /** The peer's address as Mongrel2 reports it (REMOTE_ADDR). */
  readonly remote: string;
  /** When it subscribed: Clock.monotonic(). */
  readonly since: number;
  /** When the token expires and the stream ends with it: milliseconds since 1970; absent = never. */
  readonly expiresAt?: number | undefined;
  /** Fingerprints of the keys that signed its tokens; absent = it connected without a token. */
  readonly keyFingerprints?: readonly string[] | undefined;
  /** Ids by which its tokens can be revoked; absent = it connected without a token. Opaque to delivery. */
  readonly tokenIds?: readonly string[] | undefined;
  /** Its entry in the subscription API and in presence events; absent = it has none. Opaque to delivery. */
  readonly subscriber?: Subscriber | undefined;
  /** The `sub` claim of its token, unless `subscriber` has it; absent = none. */
  readonly subject?: string | undefined;
  /** Bytes that may be in flight to it (Mongrel2's DOWNLOAD_CREDITS); absent = no limit. */
  readonly creditLimit?: number | undefined;
  /** Absent = its topics do not change. */
  readonly control?: StreamControl | undefined;
}
