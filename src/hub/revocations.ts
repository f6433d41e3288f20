/**
 * Tokens that were revoked before their `exp`. A revocation is recorded, told to the other nodes of a cluster, and ends the streams of its
 * tokens; it is kept until the last of them has expired. Revocations are only ever added, so that nodes that hear of each other's in any order
 * agree in the end.
 */
import type { Client } from "../delivery/client.js";
import type { ServerDelivery } from "../delivery/server-delivery.js";
import { M2pushError, messageOf, tooManyRequests } from "../errors.js";
import type { Clock } from "../util/clock.js";
import { SlicedWork, type Steps } from "../util/sliced-work.js";

export interface Revocation {
  /** tokenId() of the claim. */
  readonly id: string;
  /** Tokens that were issued later are valid, milliseconds since 1970; absent = none is. */
  readonly issuedUntil?: number;
  /** When its last token has expired, milliseconds since 1970; absent = never. */
  readonly keepUntil?: number;
}

/** What is known of a token: its ids, and when it was issued (`iat`), milliseconds since 1970; undefined = unknown. */
export interface KnownToken {
  readonly tokenIds: readonly string[];
  readonly issuedAt: number | undefined;
}

export interface RevocationsOptions {
  readonly clock: Clock;
  /** Those that were recorded before. */
  readonly recorded: readonly Revocation[];
  /** Records revocations durably before it returns; throws errors of the file system. */
  readonly record: (revocations: readonly Revocation[]) => void;
  readonly servers: () => Iterable<ServerDelivery>;
  /** Ends the stream of a client. */
  readonly end: (server: ServerDelivery, id: number) => void;
  /** Tells the other nodes of a cluster. */
  readonly tell: (revocations: readonly Revocation[]) => void;
  readonly warn: (warning: string) => void;
}

/** Revocations that are kept. Further ones are rejected: to forget an older one would make its tokens valid again. */
export const MAX_REVOCATION_COUNT = 20_000;

export class Revocations {
  readonly #options: RevocationsOptions;
  readonly #byId = new Map<string, Revocation>();
  readonly #work: SlicedWork;
  #lastSweep: Promise<unknown> = Promise.resolve();
  #queuedSweep: Promise<number> | undefined;

  constructor(options: RevocationsOptions) {
    this.#options = options;
    this.#work = new SlicedWork(options.clock, tooManyRequests);
    for (const revocation of options.recorded) this.#put(revocation);
  }

  /** Those that are kept. */
  get count(): number {
    return this.#byId.size;
  }

  /** Those that still matter. */
  all(): readonly Revocation[] {
    this.#removeExpired();
    return [...this.#byId.values()];
  }

  /**
   * Revokes, and resolves with the number of streams that it ended. Rejects with "unavailable" where there are too many, and then nothing is
   * revoked; with "storage_failed" where it could not be recorded, and then it counts until the daemon ends.
   */
  async revoke(revocation: Revocation): Promise<number> {
    this.#removeExpired();
    if (this.#byId.size >= MAX_REVOCATION_COUNT && !this.#byId.has(revocation.id))
      throw new M2pushError(
        "unavailable",
        `${MAX_REVOCATION_COUNT} tokens are revoked already; fix: change the key, or use tokens with a shorter exp`,
      );
    this.#put(revocation);
    this.#options.tell([revocation]);
    const failure = this.#record([revocation]);
    const ended = await this.#sweep();
    if (failure) throw failure;
    return ended;
  }

  /** Revocations of another node. Those that are known already change nothing. */
  received(revocations: readonly Revocation[]): void {
    const fresh = revocations.filter((it) => this.#put(it));
    if (fresh.length === 0) return;
    const failure = this.#record(fresh);
    if (failure) this.#options.warn(failure.message);
    void this.#sweep();
  }

  isRevoked({ tokenIds, issuedAt }: KnownToken): boolean {
    if (this.#byId.size === 0) return false;
    return tokenIds.some((id) => {
      const revocation = this.#byId.get(id);
      if (!revocation) return false;
      const { issuedUntil = Number.POSITIVE_INFINITY } = revocation;
      return issuedAt === undefined || issuedAt <= issuedUntil;
    });
  }

  /** Its token was checked when it connected, and had been issued by then. */
  isRevokedClient({ tokenIds, since }: Client): boolean {
    if (tokenIds === undefined || this.#byId.size === 0) return false;
    const { clock } = this.#options;
    return this.isRevoked({ tokenIds, issuedAt: Math.floor(clock.now() - (clock.monotonic() - since)) });
  }

  /** False if it says nothing new. */
  #put(revocation: Revocation): boolean {
    const known = this.#byId.get(revocation.id);
    const merged = known ? merge(known, revocation) : revocation;
    if (known && merged.issuedUntil === known.issuedUntil && merged.keepUntil === known.keepUntil) return false;
    this.#byId.set(revocation.id, merged);
    return true;
  }

  #record(revocations: readonly Revocation[]): M2pushError | undefined {
    try {
      this.#options.record(revocations);
      return undefined;
    } catch (cause) {
      const text = `revoked, but not recorded (${messageOf(cause)}): it counts until the daemon ends`;
      return new M2pushError("storage_failed", `${text}; fix: make [history] path writable, and repeat it`, { cause });
    }
  }

  #removeExpired(): void {
    const now = this.#options.clock.now();
    for (const [id, { keepUntil }] of this.#byId)
      if (keepUntil !== undefined && keepUntil <= now) this.#byId.delete(id);
  }

  /** One sweep is for every revocation so far: at most one waits behind the one that runs. */
  #sweep(): Promise<number> {
    this.#queuedSweep ??= this.#lastSweep.then(() => {
      this.#queuedSweep = undefined;
      return this.#work.run(this.#endStreams());
    });
    this.#lastSweep = this.#queuedSweep.catch(() => {});
    return this.#queuedSweep;
  }

  *#endStreams(): Steps<number> {
    const { servers, end } = this.#options;
    let ended = 0;
    for (const server of servers()) {
      const { clients } = server;
      for (const client of [...clients.values()]) {
        yield;
        if (clients.get(client.id) !== client || !this.isRevokedClient(client)) continue;
        end(server, client.id);
        ended++;
      }
    }
    return ended;
  }
}

/** What either revokes; absent members are the largest. */
function merge(a: Revocation, b: Revocation): Revocation {
  const largest = (x: number | undefined, y: number | undefined) =>
    x === undefined || y === undefined ? undefined : Math.max(x, y);
  const issuedUntil = largest(a.issuedUntil, b.issuedUntil);
  const keepUntil = largest(a.keepUntil, b.keepUntil);
  return {
    id: a.id,
    ...(issuedUntil !== undefined && { issuedUntil }),
    ...(keepUntil !== undefined && { keepUntil }),
  };
}

/** Whether a value of another process is a revocation. */
export function isRevocation(value: unknown): value is Revocation {
  const { id, issuedUntil = 0, keepUntil = 0 } = (value ?? {}) as Partial<Record<keyof Revocation, unknown>>;
  return typeof id === "string" && /^[\w-]{16}$/.test(id) && Number.isFinite(issuedUntil) && Number.isFinite(keepUntil);
}
