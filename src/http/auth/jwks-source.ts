/**
 * The keys that an issuer publishes at a URL. They are read at the start, again as the response allows (Cache-Control), and for a token with an
 * unknown key. A failure changes nothing: the last keys count until others have been read, however long that takes, so that an outage of the
 * issuer refuses nobody whose token is valid (docs/decisions/0071-keys-of-issuers-are-fetched-in-the-background.md). The next process begins
 * with the keys that this one has kept, if they are not too old (docs/decisions/0106-keys-of-issuers-are-kept-on-disk.md).
 */
import { messageOf } from "../../errors.js";
import { backoff } from "../../util/backoff.js";
import type { Cancel, Clock } from "../../util/clock.js";
import type { Conditions } from "../../util/conditions.js";
import type { FetchJwks } from "./fetch-jwks.js";
import { readJwks } from "./jwks.js";
import type { VerificationKey } from "./verification-key.js";

/** Where the keys are kept for the next process. The methods throw what went wrong. */
export interface KeptJwks {
  /** The JWKS that the URL had, and when it was read (milliseconds since 1970); undefined = none is kept. */
  read(url: string): { readonly text: string; readonly readAt: number } | undefined;
  write(url: string, text: string, readAt: number): void;
}

export interface JwksSourceOptions {
  /** For the log and conditions. */
  readonly name: string;
  readonly url: string;
  readonly fetch: FetchJwks;
  readonly clock: Clock;
  /** Where failures are reported; absent = nowhere. */
  readonly conditions?: Pick<Conditions, "begin" | "end">;
  /** Absent = the keys are not kept. */
  readonly kept?: KeptJwks | undefined;
  /** Called with warnings, which contain no key. */
  readonly warn: (warning: string) => void;
  /** Called when the keys are others than before. */
  readonly changed: () => void;
  /** A number from 0 up to 1. */
  readonly random: () => number;
}

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
/** Between two reads, as Cache-Control says, within these bounds; the default where it says nothing. */
const MIN_INTERVAL_MS = MINUTE_MS;
const MAX_INTERVAL_MS = 24 * 60 * MINUTE_MS;
const DEFAULT_INTERVAL_MS = 10 * MINUTE_MS;
/** Each interval is shortened by up to this part, so that the daemons of a cluster do not ask together. */
const JITTER_RATIO = 0.2;
/** Strangers choose the kid of a token: it causes one read within this time. */
const MIN_UNKNOWN_KEY_INTERVAL_MS = 30 * SECOND_MS;
/** Kept keys that were read longer ago are not used: the longest time for which a running daemon does not ask, either. */
const MAX_KEPT_AGE_MS = MAX_INTERVAL_MS;
/** After a failure. */
const FIRST_RETRY_MS = 5 * SECOND_MS;
const LAST_RETRY_MS = MINUTE_MS;

export class JwksSource {
  readonly #options: JwksSourceOptions;
  readonly #retry: ReturnType<typeof backoff>;
  #keys: readonly VerificationKey[] = [];
  #isLoaded = false;
  #isClosed = false;
  /** Whether the last write failed. */
  #isUnwritable = false;
  #running: Promise<void> | undefined;
  #cancelTimer: Cancel | undefined;
  /** When the last read began: Clock.monotonic(). */
  #beganAt = Number.NEGATIVE_INFINITY;

  constructor(options: JwksSourceOptions) {
    this.#options = options;
    this.#retry = backoff(FIRST_RETRY_MS, LAST_RETRY_MS, options.random);
    this.#useKept();
  }

  get url(): string {
    return this.#options.url;
  }

  get keys(): readonly VerificationKey[] {
    return this.#keys;
  }

  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** Reads the keys, and goes on to read them until close(). Resolves after the first attempt, whatever its result. */
  start(): Promise<void> {
    return this.#read();
  }

  /** See TrustedIssuer.refresh. */
  async refresh(): Promise<void> {
    const age = this.#options.clock.monotonic() - this.#beganAt;
    if (this.#running || age >= MIN_UNKNOWN_KEY_INTERVAL_MS) await this.#read();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer?.();
    this.#options.conditions?.end("issuer_unreachable", this.#options.name);
  }

  #read(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#running ??= this.#attempt().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #attempt(): Promise<void> {
    const { url, fetch, clock, name, conditions } = this.#options;
    this.#cancelTimer?.();
    this.#beganAt = clock.monotonic();
    try {
      const { text, maxAgeMs = DEFAULT_INTERVAL_MS } = await fetch(url);
      const keys = publicKeysOf(text);
      if (this.#isClosed) return;
      conditions?.end("issuer_unreachable", name);
      this.#retry.reset();
      this.#schedule(Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, maxAgeMs)));
      this.#replace(keys);
      this.#keep(text);
    } catch (error) {
      if (this.#isClosed) return;
      this.#schedule(this.#retry.next());
      conditions?.begin({ code: "issuer_unreachable", subject: name, ...unreachable(url, this.#isLoaded, error) });
    }
  }

  #useKept(): void {
    const { url, kept, clock, name, warn } = this.#options;
    try {
      const stored = kept?.read(url);
      const ageMs = clock.now() - (stored?.readAt ?? 0);
      if (!stored || ageMs < 0 || ageMs > MAX_KEPT_AGE_MS) return;
      this.#keys = publicKeysOf(stored.text);
      this.#isLoaded = true;
    } catch (error) {
      warn(`the kept keys of the issuer ${name} cannot be used (${messageOf(error)}): they are read from ${url}`);
    }
  }

  /** A failure is reported once, until a write succeeds: the reason is the same at each read. */
  #keep(text: string): void {
    const { url, kept, clock, name, warn } = this.#options;
    try {
      kept?.write(url, text, clock.now());
      this.#isUnwritable = false;
    } catch (error) {
      if (this.#isUnwritable) return;
      this.#isUnwritable = true;
      const effect = `after a restart its tokens are refused until ${url} answers; fix: make the data folder writable`;
      warn(`the keys of the issuer ${name} cannot be kept (${messageOf(error)}): ${effect}`);
    }
  }

  #schedule(ms: number): void {
    const { clock, random } = this.#options;
    this.#cancelTimer = clock.after(Math.round(ms * (1 - JITTER_RATIO * random())), () => void this.#read());
  }

  #replace(keys: readonly VerificationKey[]): void {
    const isSame = this.#isLoaded && textOf(keys) === textOf(this.#keys);
    this.#isLoaded = true;
    if (isSame) return;
    this.#keys = keys;
    this.#options.changed();
  }
}

const textOf = (keys: readonly VerificationKey[]): string =>
  keys.map(({ id = "", fingerprint }) => `${fingerprint} ${id}`).join("\n");

/** A secret that is published is none. */
function publicKeysOf(text: string): readonly VerificationKey[] {
  const keys = readJwks(text).keys.filter(({ algorithm }) => algorithm !== "HS256");
  if (keys.length === 0) throw new Error("it has secrets only (oct), and no public key");
  return keys;
}

const unreachable = (url: string, isLoaded: boolean, error: unknown) => ({
  message: `the keys of an issuer cannot be read from ${url}: ${messageOf(error)}; ${
    isLoaded ? "the last keys count" : "its tokens are refused"
  }`,
  fix: "check jwks_url, and whether this machine reaches it",
});
