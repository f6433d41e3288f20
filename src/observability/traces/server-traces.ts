/** The "flush" and "fence" spans of one Mongrel2: see event-tracer.ts. */
import type { DeliveryTraces } from "../../delivery/delivery-traces.js";
import type { Publication } from "../../protocol/publication.js";
import { parseTraceparent, type TraceContext } from "../../protocol/traceparent.js";
import type { Spans } from "./spans.js";

/** Events of one Mongrel2 that wait for their flush or its fence; the steps of further ones are not traced. */
const MAX_WAITING_EVENT_COUNT = 10_000;
const LINK_LOST = "the link to Mongrel2 was lost";

interface WaitingEvent {
  readonly context: TraceContext;
  readonly offset: number;
  readonly clients: number;
  readonly queuedAt: number;
}

export class ServerTraces implements DeliveryTraces {
  readonly #server: string;
  readonly #spans: Spans;
  readonly #now: () => number;
  readonly #dropped: (events: number) => void;
  /** By rising offset. */
  #waiting: WaitingEvent[] = [];
  /** Whether clients of the events that wait get them from the history. */
  #hasFallenBehind = false;
  /** Of the flush in flight. */
  #sent: { readonly events: readonly WaitingEvent[]; readonly at: number } | undefined;

  constructor(server: string, options: { spans: Spans; now: () => number; dropped: (events: number) => void }) {
    this.#server = server;
    this.#spans = options.spans;
    this.#now = options.now;
    this.#dropped = options.dropped;
  }

  queued({ traceparent = "", offset }: Publication, clients: number): void {
    const context = parseTraceparent(traceparent);
    if (!context?.isSampled) return;
    if (this.#waiting.length >= MAX_WAITING_EVENT_COUNT) this.#dropped(1);
    else this.#waiting.push({ context, offset, clients, queuedAt: this.#now() });
  }

  sent(through: number): void {
    if (this.#waiting.length === 0) return;
    const later = this.#waiting.findIndex(({ offset }) => offset > through);
    const events = this.#waiting.splice(0, later < 0 ? this.#waiting.length : later);
    if (events.length === 0) return;
    const at = this.#now();
    this.#endFlush(events, at);
    this.#sent = { events, at };
    if (this.#waiting.length === 0) this.#hasFallenBehind = false;
  }

  taken(): void {
    this.#endFence();
  }

  fellBehind(): void {
    this.#hasFallenBehind = true;
  }

  reset(): void {
    this.#endFlush(this.#waiting, this.#now(), LINK_LOST);
    this.#endFence(LINK_LOST);
    this.#waiting = [];
    this.#hasFallenBehind = false;
  }

  #endFlush(events: readonly WaitingEvent[], end: number, failure?: string): void {
    for (const { context, clients, queuedAt: start } of events) {
      const attributes = { ...this.#attributes, "m2push.clients": clients };
      const behind = this.#hasFallenBehind && { "m2push.clients_fell_behind": true };
      this.#spans.step("flush", context, { start, end }, { ...attributes, ...behind }, failure);
    }
  }

  #endFence(failure?: string): void {
    if (this.#sent === undefined) return;
    const { events, at: start } = this.#sent;
    const end = this.#now();
    this.#sent = undefined;
    for (const { context } of events) this.#spans.step("fence", context, { start, end }, this.#attributes, failure);
  }

  get #attributes(): { readonly "m2push.server": string } {
    return { "m2push.server": this.#server };
  }
}
