/**
 * m2push.js: one EventSource for all tabs of an origin. HTTP/1.1 lets a browser open six connections to an origin, over all
 * its tabs: with a stream in each, the seventh tab hangs. No dependency, no build step: <script type="module">, or imported.
 *
 *   import { connect } from "./m2push.js";
 *   const hub = connect({ url: "/.well-known/mercure", topics: ["news", "https://example.com/books/{id}"] });
 *   hub.addEventListener("message", (event) => console.log(event.lastEventId, event.data));
 *   hub.addEventListener("price", (event) => ...);    // events that were published with this type
 *   hub.addEventListener("gap", (event) => ...);      // event.detail: { reason, oldest }: some events are lost
 *   hub.addEventListener("state", (event) => ...);    // event.detail: "connecting", "open" or "closed"
 *   hub.state; hub.lastEventId; hub.shared; hub.close();    // shared: uses the connection of all tabs
 *
 * The EventSource lives in a SharedWorker (this same file), one for each address; every tab receives its events through
 * a port of its own. No tab is a leader, so no tab that closes or freezes takes the connection with it, and no handover can lose or
 * repeat an event. (Tabs that elect a leader must hand over from an event id that EventSource does not expose before the first
 * event; and Web Locks, which an election needs, exist on https and localhost only.) Events of a frozen tab wait in its port.
 *
 * A tab uses an EventSource of its own, from its last event on, where SharedWorker is missing (Chrome on older Androids) or cannot
 * start, after the worker has crashed (detected where Web Locks exist), and after a return from the back/forward cache. Where
 * the tab has seen no event to continue from, it gets a gap (reason "unknown").
 *
 * A tab receives the events after connect(). An EventSource that was refused (any response that is no stream) gives up; this
 * module retries from the last event on. `gap` and `state` are its own types: published events of these types are not dispatched.
 */

/** Delay before a retry after a refusal. */
const REFUSED_RETRY_MS = 5000;
const OWN_TYPES = ["gap", "state"];
const LOST = { reason: "unknown", oldest: "" };
/** Part of the worker's name, so that a page never uses the worker of an older version of this file. */
const PROTOCOL = 1;

/** @typedef {{ type: "event", name: string, data: string, id: string } | { type: "gap" | "state", detail: any, id?: string }} Message */

/** One EventSource that retries after refusals: in the worker for all tabs, or in one tab. */
class Source {
  state = "connecting";
  #types = new Set();
  #wasOpen = false;

  /** @param {string} url  @param {boolean} withCredentials  @param {(message: Message) => void} emit  @param {string} lastEventId */
  constructor(url, withCredentials, emit, lastEventId = "") {
    Object.assign(this, { url, withCredentials, emit, lastEventId });
    this.#open();
  }

  want(type) {
    if (this.#types.has(type)) return;
    this.#types.add(type);
    this.#listen(type);
  }

  close() {
    clearTimeout(this.again);
    this.events.close();
  }

  #open() {
    const url = new URL(this.url);
    if (this.lastEventId) url.searchParams.set("lastEventID", this.lastEventId);
    this.events = new EventSource(url, { withCredentials: this.withCredentials });
    this.events.onopen = () => this.#change("open");
    this.events.onerror = (event) => event.data === undefined && this.#failed();
    this.events.addEventListener("m2push-gap", (event) => this.#gap(event));
    for (const type of this.#types) this.#listen(type);
  }

  #listen(type) {
    this.events.addEventListener(type, ({ data, lastEventId: id }) => {
      if (data === undefined) return; // the EventSource's own "error" or "open", no event of the stream
      this.lastEventId = id;
      this.emit({ type: "event", name: type, data, id });
    });
  }

  /** EventSource reconnects by itself, except after a refusal. */
  #failed() {
    this.#change("connecting");
    if (this.events.readyState !== EventSource.CLOSED) return;
    if (this.#wasOpen && !this.lastEventId) this.emit({ type: "gap", detail: LOST, id: "" });
    this.again = setTimeout(() => this.#open(), REFUSED_RETRY_MS);
  }

  #gap({ data, lastEventId: id }) {
    this.lastEventId = id;
    this.emit({ type: "gap", detail: JSON.parse(data), id });
  }

  #change(state) {
    if (state === this.state) return;
    this.state = state;
    this.#wasOpen ||= state === "open";
    this.emit({ type: "state", detail: state });
  }
}

export class Hub extends EventTarget {
  state = "connecting";
  /** Id of the last event that this tab has received; "" = none. */
  lastEventId = "";
  #withCredentials;
  #types = new Set();
  /** Port to the worker; undefined = this tab has a source of its own. */
  #port;
  #source;
  #closed = new AbortController();

  /** @param {string} url absolute  @param {{ share?: boolean, withCredentials?: boolean }} options */
  constructor(url, { share = true, withCredentials = false }) {
    super();
    this.url = url;
    this.#withCredentials = withCredentials;
    const { signal } = this.#closed;
    addEventListener("pagehide", () => this.#leave(), { signal });
    addEventListener("pageshow", (event) => event.persisted && this.#alone(), { signal });
    if (!share || !this.#share()) this.#alone();
  }

  /** Whether the connection is shared by all tabs. */
  get shared() {
    return this.#port !== undefined;
  }

  addEventListener(type, ...rest) {
    super.addEventListener(type, ...rest);
    if (OWN_TYPES.includes(type) || this.#types.has(type)) return;
    this.#types.add(type);
    this.#port?.postMessage({ want: [type] });
    this.#source?.want(type);
  }

  close() {
    this.#closed.abort();
    this.#leave();
    this.#source?.close();
    this.#change("closed");
  }

  /** Joins the worker. @returns {boolean} false where SharedWorker is missing */
  #share() {
    const withCredentials = this.#withCredentials;
    const name = `m2push ${PROTOCOL} ${withCredentials ? "with" : "without"} credentials ${this.url}`;
    try {
      const worker = new SharedWorker(import.meta.url, { type: "module", name });
      worker.onerror = () => this.#port && this.#alone();
      this.#port = worker.port;
    } catch {
      return false;
    }
    this.#port.onmessage = ({ data }) => this.#receive(data);
    // In a microtask: the worker must know the listeners that are added right after connect() before the first event.
    queueMicrotask(() => this.#port?.postMessage({ join: this.url, withCredentials, want: [...this.#types] }));
    return true;
  }

  /** Uses an EventSource of this tab, from its last event on. */
  #alone() {
    if (this.state === "open" && !this.lastEventId) this.#receive({ type: "gap", detail: LOST, id: "" });
    this.#leave();
    this.#source?.close();
    if (!("EventSource" in globalThis)) return this.#change("closed");
    this.#change("connecting");
    this.#source = new Source(this.url, this.#withCredentials, (message) => this.#receive(message), this.lastEventId);
    for (const type of this.#types) this.#source.want(type);
  }

  #leave() {
    this.#port?.postMessage({ leave: true });
    this.#port?.close();
    this.#port = undefined;
  }

  /** @param {Message | { type: "alone" } | { type: "lock", name: string }} message */
  #receive({ type, name, data, id, detail }) {
    if (type === "alone") this.#alone();
    else if (type === "lock") this.#watch(name);
    else if (type === "state") this.#change(detail);
    else {
      this.lastEventId = id || this.lastEventId;
      const init = { data, lastEventId: id, origin: new URL(this.url).origin };
      this.dispatchEvent(type === "gap" ? new CustomEvent(type, { detail }) : new MessageEvent(name, init));
    }
  }

  /** The worker holds the lock for as long as it runs. */
  #watch(lock) {
    const gone = () => this.#port && this.#alone();
    navigator.locks?.request(lock, { mode: "shared", signal: this.#closed.signal }, gone).catch(() => {});
  }

  #change(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}

/**
 * Connects, or joins the connection of another tab. Addresses are relative to the page; with `lastEventID` in one, the events
 * after that id are replayed first. `share: false`: an EventSource of this tab. `withCredentials`: cross-origin cookies.
 * @param {string | { url: string, topics?: readonly string[] }} to
 * @param {{ share?: boolean, withCredentials?: boolean }} [options]
 * @returns {Hub}
 */
export function connect(to, options = {}) {
  const { url: address, topics = [] } = typeof to === "string" ? { url: to } : to;
  const url = new URL(address, location.href);
  for (const topic of topics) url.searchParams.append("topic", topic);
  return new Hub(url.href, options);
}

/** The worker: one address, and the ports of the tabs with the event types they listen to. Without tabs it has no connection. */
function work(scope) {
  const ports = new Map();
  const lock = `${scope.name} ${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
  const held = new Promise((hold) => scope.navigator.locks?.request(lock, () => new Promise(() => hold())));
  let source;
  const broadcast = (message) => {
    for (const [port, types] of ports)
      if (message.type !== "event" || types.has(message.name)) port.postMessage(message);
  };
  const join = (port, { join: url, withCredentials }) => {
    if (!("EventSource" in scope)) return port.postMessage({ type: "alone" });
    ports.set(port, new Set());
    source ??= new Source(url, withCredentials, broadcast);
    port.postMessage({ type: "state", detail: source.state });
    void held.then(() => port.postMessage({ type: "lock", name: lock }));
  };
  const want = (port, types = []) => {
    for (const type of types) {
      ports.get(port)?.add(type);
      source?.want(type);
    }
  };
  const leave = (port) => {
    ports.delete(port);
    if (ports.size > 0) return;
    source?.close();
    source = undefined;
  };
  scope.addEventListener("connect", ({ ports: [port] }) => {
    port.onmessage = ({ data }) => {
      if (data.join) join(port, data);
      want(port, data.want);
      if (data.leave) leave(port);
    };
  });
}

if ("SharedWorkerGlobalScope" in globalThis) work(globalThis);
