/**
 * One stream that is kept open: in the worker for all tabs, or in one tab. It reconnects from its last event on, with a growing delay that
 * differs from client to client; watches for silence where the hub announces heartbeats; opens the stream again before its token expires; and
 * asks for the present topics whenever it opens.
 */
import { openEventSource, openFetch } from "./transports.js";
import type { GetToken, Message, OpenStream, SourceOptions, State, StreamObserver } from "./types.js";

/** Delay before the first retry where the hub states none; it doubles with each failure. */
const RETRY_MS = 1000;
const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 30_000;
/** An attempt without a response. */
const OPEN_TIMEOUT_MS = 30_000;
/** A stream is silent after this many heartbeats that did not come. */
const MAX_MISSED_HEARTBEAT_COUNT = 2;
/** How long before its end a token is replaced; a tenth of its time if that is less. */
const TOKEN_MARGIN_MS = 30_000;
const MAX_TIMER_MS = 2 ** 31 - 1;
const OWN_TYPES = ["m2push-open", "m2push-gap", "m2push-heartbeat"];

/** There is no position to continue from. */
export const LOST: Message = { type: "gap", detail: { reason: "unknown", oldest: "" }, id: "" };

export class Source {
  state: State = "connecting";
  /** Position from which a new stream continues; "" = unknown. */
  lastEventId: string;
  topics: ReadonlySet<string>;
  readonly #options: SourceOptions;
  readonly #emit: (message: Message) => void;
  readonly #getToken: GetToken | undefined;
  readonly #types = new Set(OWN_TYPES);
  #stream: OpenStream | undefined;
  /** Incremented by each attempt: what an earlier one was waiting for has no effect. */
  #attempt = 0;
  #failures = 0;
  #retryMs = RETRY_MS;
  #retryTimer: Timer;
  #watchTimer: Timer;
  #tokenTimer: Timer;
  #seenAt = 0;
  /** Longest silence, milliseconds; 0 = any. */
  #maxSilenceMs = 0;
  /** With the present token. */
  #headers: Readonly<Record<string, string>> = {};
  /** Of the open stream, by which its topics are changed; undefined = the hub does not name it. */
  #name: string | undefined;
  #wasOpen = false;
  #changes: Promise<unknown> = Promise.resolve();

  constructor(options: SourceOptions, emit: (message: Message) => void, getToken?: GetToken) {
    this.#options = options;
    this.#emit = emit;
    this.#getToken = getToken;
    this.lastEventId = options.lastEventId;
    this.topics = new Set(options.topics);
    void this.#open();
  }

  /** Emits the events of a type from now on. */
  listen(type: string): void {
    if (this.#types.has(type)) return;
    this.#types.add(type);
    this.#stream?.listen(type);
  }

  close(): void {
    this.#stop();
    this.#change("closed");
  }

  /** The network is back, or the page is visible again: timers may have been frozen. */
  wake(): void {
    if (this.#retryTimer) void this.#open();
    else this.#watch();
  }

  /** Resolves when the stream has the topics, or a new one with them is on its way. Rejects where the hub refuses them. */
  change(add: readonly string[], remove: readonly string[]): Promise<void> {
    const done = this.#changes.then(() => this.#apply(add, remove));
    this.#changes = done.catch(() => {});
    return done;
  }

  async #apply(add: readonly string[], remove: readonly string[]): Promise<void> {
    const before = this.topics;
    this.topics = new Set([...before, ...add].filter((topic) => !remove.includes(topic)));
    const name = this.#name;
    if (this.#retryTimer || this.state === "closed") return; // the next attempt has them
    if (!name || this.state !== "open") return this.#open();
    const body = new URLSearchParams([
      ...add.map((it) => parameterOf("add", it)),
      ...remove.map((it) => parameterOf("remove", it)),
    ]);
    const { hub, credentials } = this.#options;
    const request = { method: "PATCH", body, headers: this.#headers, credentials };
    const response = await fetch(`${hub}/streams/${name}`, request).catch(() => undefined);
    if (response?.ok || name !== this.#name) return;
    // 404, 405: the hub cannot change this stream. No response, 5xx: a new stream asks for the topics.
    if (!response || response.status >= 500 || [404, 405].includes(response.status)) return this.#open();
    this.topics = before;
    throw new Error(`the hub refuses the topics: ${response.status} ${await response.text()}`);
  }

  async #open(next?: string): Promise<void> {
    this.#stop();
    const attempt = this.#attempt;
    if (this.#wasOpen && !this.lastEventId) this.#emit(LOST);
    this.#wasOpen = false;
    this.#watch(OPEN_TIMEOUT_MS);
    try {
      const token = next ?? (await this.#getToken?.());
      if (attempt === this.#attempt) this.#request(token);
    } catch (error) {
      if (attempt === this.#attempt) this.#failed({ reason: String(error) });
    }
  }

  #request(token: string | undefined): void {
    const { headers, credentials, transport, ...options } = this.#options;
    const { lastEventId } = this;
    this.#watch(OPEN_TIMEOUT_MS);
    this.#renewBefore(token);
    this.#headers = token ? { ...headers, Authorization: `Bearer ${token}` } : headers;
    const url = new URL(options.url);
    for (const topic of this.topics) url.searchParams.append(...parameterOf(options.parameter, topic));
    if (options.heartbeat) url.searchParams.set("heartbeat", "event");
    if (options.control) url.searchParams.set("control", "1");
    const open = transport === "eventsource" ? openEventSource : openFetch;
    this.#stream = open({ url, headers: this.#headers, lastEventId, credentials }, this.#observer);
    for (const type of this.#types) this.#stream.listen(type);
  }

  readonly #observer: StreamObserver = {
    opened: () => {
      this.#failures = 0;
      this.#wasOpen = true;
      this.#watch(0);
      this.#change("open");
    },
    alive: () => {
      this.#seenAt = Date.now();
    },
    retry: (delayMs) => {
      this.#retryMs = Math.max(delayMs, MIN_RETRY_MS);
    },
    received: (type, data, id) => {
      if (id) this.lastEventId = id;
      if (type === "m2push-open" && data) this.#name = JSON.parse(data).stream;
      if (type === "m2push-open" || data === undefined) this.#emit({ type: "position", id });
      else if (type === "m2push-heartbeat") this.#watch(Number(data) * 1000 * MAX_MISSED_HEARTBEAT_COUNT);
      else if (type === "m2push-gap") this.#emit({ type: "gap", detail: JSON.parse(data), id: this.lastEventId });
      else if (this.#types.has(type)) this.#emit({ type: "event", name: type, data, id: this.lastEventId });
    },
    failed: (failure) => this.#failed(failure),
  };

  #failed({ retryAfterMs = 0, ...failure }: Parameters<StreamObserver["failed"]>[0]): void {
    this.#stop();
    if (failure.status === 204) {
      this.#change("closed"); // as an EventSource: the hub asks not to come back
      return;
    }
    const growing = Math.min(this.#retryMs * 2 ** this.#failures++, Math.max(MAX_RETRY_MS, this.#retryMs));
    const retryInMs = Math.round(Math.max(retryAfterMs, growing) * (1 + Math.random() / 2));
    this.#change("connecting");
    this.#retryTimer = setTimeout(() => this.#open(), Math.min(retryInMs, MAX_TIMER_MS));
    this.#emit({ type: "failure", detail: { ...failure, retryInMs }, id: "" });
  }

  /** Ends the present attempt or stream. */
  #stop(): void {
    this.#attempt++;
    for (const timer of [this.#retryTimer, this.#watchTimer, this.#tokenTimer]) clearTimeout(timer);
    this.#retryTimer = undefined;
    this.#name = undefined;
    this.#stream?.close();
    this.#stream = undefined;
  }

  /** Looks for silence of this length from now on; absent = at once, by the present length. */
  #watch(maxSilenceMs?: number): void {
    if (maxSilenceMs !== undefined) [this.#maxSilenceMs, this.#seenAt] = [maxSilenceMs, Date.now()];
    clearTimeout(this.#watchTimer);
    if (this.#maxSilenceMs === 0) return;
    const leftMs = this.#seenAt + this.#maxSilenceMs - Date.now();
    if (leftMs > 0) this.#watchTimer = setTimeout(() => this.#watch(), leftMs);
    else this.#failed({ reason: `silent for ${this.#maxSilenceMs} ms` });
  }

  /** Opens the stream again with a new token before this one expires. Without a new one the hub ends the stream, and the next attempt asks again. */
  #renewBefore(token: string | undefined): void {
    const leftMs = expiryOf(token) - Date.now();
    if (!(leftMs > 0)) return;
    const renew = async () => {
      const attempt = this.#attempt;
      const next = await this.#getToken?.();
      if (next && next !== token && attempt === this.#attempt) await this.#open(next);
    };
    const delayMs = leftMs - Math.min(TOKEN_MARGIN_MS, leftMs / 10);
    this.#tokenTimer = setTimeout(() => renew().catch(() => {}), Math.min(delayMs, MAX_TIMER_MS));
  }

  #change(state: State): void {
    if (state === this.state) return;
    this.state = state;
    this.#emit({ type: "state", detail: state, id: this.lastEventId });
  }
}

/** `match=news`, or `match_urlpattern=/books/:id`: see urlPattern(). */
const parameterOf = (name: string, topic: string): [string, string] =>
  topic[0] === "\n" ? [`${name}_urlpattern`, topic.slice(1)] : [name, topic];

type Timer = ReturnType<typeof setTimeout> | undefined;

/** The time at which a JWT expires, milliseconds since 1970; NaN = it has none, or is no JWT. */
function expiryOf(token = ""): number {
  try {
    return JSON.parse(atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/"))).exp * 1000;
  } catch {
    return Number.NaN;
  }
}
