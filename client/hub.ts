/**
 * What a page has of a stream. HTTP/1.1 lets a browser open six connections to an origin, over all its tabs: with a stream in each, the
 * seventh tab hangs. So the source lives in a SharedWorker (worker.ts), one for each address; every tab receives its events through a port of
 * its own. No tab is a leader, so no tab that closes or freezes takes the connection with it, and no handover can lose or repeat an event.
 * Events of a frozen tab wait in its port.
 *
 * A tab uses a source of its own, from its last position on, where SharedWorker is missing (Node.js, Chrome on older Androids) or cannot start,
 * after the worker has crashed (detected where Web Locks exist), after a return from the back/forward cache, and when its topics change.
 */
import { LOST, Source } from "./source.js";
import type { Failure, Gap, GetToken, Message, SourceOptions, State } from "./types.js";

/** Part of the worker's name; with the version of its messages, so that a page never uses the worker of an older version. */
const WORKER_NAME = "m2push 2";
const OWN_TYPES = ["gap", "state", "failure"];
/** Events that an iteration has not taken yet. */
const MAX_QUEUED_EVENTS = 10_000;

/** A published event: a MessageEvent whose type is the published one. */
export interface HubEvent extends Event {
  readonly data: string;
  /** "" = the stream has had no id yet. */
  readonly lastEventId: string;
  readonly origin: string;
}

interface DetailEvent<Detail> extends Event {
  readonly detail: Detail;
}

/** The client's own events. Published events of these types are not dispatched. */
export interface HubEventMap {
  /** Events are lost: load the state of the page again. */
  gap: DetailEvent<Gap>;
  state: DetailEvent<State>;
  /** An attempt failed or the stream ended. The client retries; an application that knows better calls close(). */
  failure: DetailEvent<Failure>;
}

type EventOf<Type extends string> = Type extends keyof HubEventMap ? HubEventMap[Type] : HubEvent;
type ListenOptions = boolean | { capture?: boolean; once?: boolean; passive?: boolean; signal?: AbortSignal };
/** What the worker adds to the messages of its source. */
type FromWorker = Message | { readonly type: "token" } | { readonly type: "lock"; readonly name: string };

export class Hub extends EventTarget {
  state: State = "connecting";
  /** Position of this tab: the id of its last event, or where its stream began; "" = unknown. */
  lastEventId: string;
  readonly #options: SourceOptions;
  readonly #getToken: GetToken | undefined;
  readonly #types = new Set<string>();
  /** To the worker; undefined = this tab has a source of its own. */
  #port: MessagePort | undefined;
  #source: Source | undefined;
  readonly #closed = new AbortController();

  /** Use connect(). */
  constructor(options: SourceOptions, share: boolean | string, getToken: GetToken | undefined) {
    super();
    this.#options = options;
    this.#getToken = getToken;
    this.lastEventId = options.lastEventId;
    const { signal } = this.#closed;
    const on = (type: string, listener: (event: Event) => void) =>
      globalThis.addEventListener?.(type, listener, { signal });
    on("pagehide", () => this.#leave());
    on("pageshow", (event) => (event as PageTransitionEvent).persisted && this.#alone());
    on("online", () => this.#wake());
    on("visibilitychange", () => document.visibilityState === "visible" && this.#wake());
    if (share === false || !this.#join(share)) this.#alone();
  }

  /** Whether the connection is shared by all tabs. */
  get shared(): boolean {
    return this.#port !== undefined;
  }

  /** Absolute, without the topics. */
  get url(): string {
    return this.#options.url;
  }

  get topics(): readonly string[] {
    return this.#source ? [...this.#source.topics] : this.#options.topics;
  }

  override addEventListener<Type extends string>(
    type: Type,
    listener: ((event: EventOf<Type>) => void) | { handleEvent(event: EventOf<Type>): void } | null,
    options?: ListenOptions,
  ): void {
    super.addEventListener(type, listener as EventListener, options);
    if (OWN_TYPES.includes(type) || this.#types.has(type)) return;
    this.#types.add(type);
    this.#port?.postMessage({ want: [type] });
    this.#source?.listen(type);
  }

  /**
   * Changes the topics, without a new connection where the hub can (m2push), else by one that continues from the last event. Resolves when it
   * is done or on its way. Rejects where the hub refuses; the topics are the former ones then.
   */
  async change({ add = [], remove = [] }: { add?: readonly string[]; remove?: readonly string[] }): Promise<void> {
    const left = this.topics.filter((topic) => !remove.includes(topic));
    if (left.length + add.length === 0) throw new TypeError("a stream needs a topic; fix: close() it");
    if (!this.#source && this.state !== "closed") this.#alone({ control: true });
    await this.#source?.change(add, remove);
  }

  /** Events of these types in their order, until close(). Throws when more than 10,000 wait to be taken. */
  async *events<Type extends string>(...types: Type[]): AsyncGenerator<EventOf<Type>, void, undefined> {
    const queue: EventOf<Type>[] = [];
    let wake = () => {};
    const take = (event: EventOf<Type>) => {
      queue.push(event);
      wake();
    };
    const end = () => wake();
    for (const type of types) this.addEventListener(type, take);
    this.addEventListener("state", end);
    try {
      while (true) {
        if (queue.length > MAX_QUEUED_EVENTS) throw new Error(`${queue.length} events wait; fix: take them faster`);
        const next = queue.shift();
        if (next) yield next;
        else if (this.state === "closed") return;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      for (const type of types) this.removeEventListener(type, take as unknown as EventListener);
      this.removeEventListener("state", end);
    }
  }

  /** The same as events("message"). */
  [Symbol.asyncIterator](): AsyncGenerator<HubEvent, void, undefined> {
    return this.events("message");
  }

  /** Ends the stream, or this tab's use of it. */
  close(): void {
    this.#closed.abort();
    this.#leave();
    this.#source?.close();
    this.#change("closed");
  }

  /** Joins the worker. False where SharedWorker is missing. */
  #join(share: true | string): boolean {
    const { headers: _, ...shown } = this.#options;
    const name = JSON.stringify([WORKER_NAME, share, shown]);
    try {
      const worker = new SharedWorker(new URL("./worker.js", import.meta.url), { type: "module", name });
      worker.onerror = () => this.#port && this.#alone();
      this.#port = worker.port;
    } catch {
      return false;
    }
    this.#port.onmessage = ({ data }) => this.#receive(data);
    const hasToken = this.#getToken !== undefined;
    // In a microtask: the worker must know the listeners that are added right after connect() before the first event.
    queueMicrotask(() => this.#port?.postMessage({ join: this.#options, hasToken, want: [...this.#types] }));
    return true;
  }

  /** Uses a source of this tab, from its last position on. */
  #alone(changed: Partial<SourceOptions> = {}): void {
    if (this.state === "open" && !this.lastEventId) this.#receive(LOST);
    const topics = this.topics;
    this.#leave();
    this.#source?.close();
    this.#change("connecting");
    const options = { ...this.#options, ...changed, topics, lastEventId: this.lastEventId };
    const source = new Source(options, (message) => source === this.#source && this.#receive(message), this.#getToken);
    this.#source = source;
    for (const type of this.#types) source.listen(type);
  }

  #leave(): void {
    this.#port?.postMessage({ leave: true });
    this.#port?.close();
    this.#port = undefined;
  }

  #wake(): void {
    this.#port?.postMessage({ wake: true });
    this.#source?.wake();
  }

  #receive(message: FromWorker): void {
    if ("id" in message && message.id) this.lastEventId = message.id;
    if (message.type === "lock") this.#watch(message.name);
    else if (message.type === "token") void this.#sendToken();
    else if (message.type === "state") this.#change(message.detail);
    else if (message.type === "event") {
      const { name, data } = message;
      const { lastEventId } = this;
      this.dispatchEvent(new MessageEvent(name, { data, lastEventId, origin: new URL(this.url).origin }));
    } else if (message.type !== "position") this.#dispatch(message.type, message.detail);
  }

  async #sendToken(): Promise<void> {
    const port = this.#port;
    try {
      port?.postMessage({ token: await this.#getToken?.() });
    } catch (error) {
      port?.postMessage({ token: undefined, error: String(error) });
    }
  }

  /** The worker holds the lock for as long as it runs. */
  #watch(lock: string): void {
    const gone = () => this.#port && this.#alone();
    navigator.locks?.request(lock, { mode: "shared", signal: this.#closed.signal }, gone).catch(() => {});
  }

  #change(state: State): void {
    if (state === this.state) return;
    this.state = state;
    this.#dispatch("state", state);
  }

  #dispatch(type: keyof HubEventMap, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
