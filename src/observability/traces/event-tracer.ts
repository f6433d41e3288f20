/**
 * Spans of events whose publishers record their traces: "publish" from receipt to answer, and below it "validate", "bus" (until the event
 * has its position), "store" (until it is as durable as configured), and for each Mongrel2 with live clients "flush" (queued until written)
 * and "fence" (until Mongrel2 has taken it: mongrel2.md 2.2). The steps are joined by the context of the "publish" span, which the event
 * carries: in a cluster through the stream, so that every node adds the spans of its own clients.
 */
import type { Span } from "@opentelemetry/api";
import type { DeliveryTraces } from "../../delivery/delivery-traces.js";
import { messageOf } from "../../errors.js";
import type { PublishedEvent } from "../../hub/bus.js";
import type { PublicationTraces } from "../../hub/publication-traces.js";
import type { Draft, Publication } from "../../protocol/publication.js";
import { parseTraceparent, printTraceparent, type TraceContext } from "../../protocol/traceparent.js";
import type { PublishTraces, TracedRequest } from "../../publishing/publish-traces.js";
import { ServerTraces } from "./server-traces.js";
import type { Spans } from "./spans.js";

/** Events that are being published and traced at once; further ones are not traced. */
const MAX_OPEN_EVENT_COUNT = 10_000;

export interface EventTracerOptions {
  readonly spans: Spans;
  /** See PublishTraces.now(). */
  readonly now: () => number;
  /** Called for events that are not traced, or not further, because a limit is reached. */
  readonly dropped: (events: number) => void;
}

interface OpenEvent {
  readonly span: Span;
  readonly context: TraceContext;
  /** When it was handed to the bus. */
  readonly handedAt: number;
}

export class EventTracer implements PublishTraces, PublicationTraces {
  readonly #options: EventTracerOptions;
  /** Events of this process that are being published, by the context that they carry. */
  readonly #open = new Map<string, OpenEvent>();

  constructor(options: EventTracerOptions) {
    this.#options = options;
  }

  now(): number {
    return this.#options.now();
  }

  begin(drafts: readonly Draft[], receivedAt: number | undefined): TracedRequest | undefined {
    let traced: (string | undefined)[] | undefined;
    for (const [index, { traceparent }] of drafts.entries()) {
      const parent = traceparent === undefined ? undefined : parseTraceparent(traceparent);
      if (!parent?.isSampled) continue;
      traced ??= [];
      traced[index] = this.#beginEvent(parent, receivedAt);
    }
    if (traced === undefined) return undefined;
    const keys = drafts.map((_, index) => traced[index]);
    return {
      drafts: drafts.map((draft, index) => withContext(draft, keys[index])),
      end: (results) => this.#end(keys, results),
      fail: (error) => this.#fail(keys, error),
    };
  }

  /** Returns the context that the event carries; undefined = it is not traced. */
  #beginEvent(parent: TraceContext, receivedAt: number | undefined): string | undefined {
    if (this.#open.size >= MAX_OPEN_EVENT_COUNT) {
      this.#options.dropped(1);
      return undefined;
    }
    const { spans } = this.#options;
    const handedAt = this.now();
    const start = receivedAt ?? handedAt;
    const { span, context } = spans.begin(parent, start);
    spans.step("validate", context, { start, end: handedAt });
    const key = printTraceparent(context);
    this.#open.set(key, { span, context, handedAt });
    return key;
  }

  positioned({ traceparent = "" }: Publication): (stored: Promise<void> | undefined) => void {
    const context = parseTraceparent(traceparent);
    if (!context?.isSampled) return () => {};
    const { spans } = this.#options;
    const start = this.now();
    const open = this.#open.get(traceparent);
    if (open) spans.step("bus", context, { start: open.handedAt, end: start });
    const end = (failure?: string) => spans.step("store", context, { start, end: this.now() }, {}, failure);
    return (stored) => {
      if (stored === undefined) end();
      else
        stored.then(
          () => end(),
          (error) => end(messageOf(error)),
        );
    };
  }

  deliveryOf(server: string): DeliveryTraces {
    return new ServerTraces(server, this.#options);
  }

  #end(keys: readonly (string | undefined)[], results: readonly PublishedEvent[]): void {
    for (const [index, key] of keys.entries()) {
      const result = results[index];
      const failed = result === undefined || "error" in result;
      if (failed) this.#endEvent(key, result?.error.message ?? "no result");
      else this.#endEvent(key, undefined, { "m2push.event.id": result.id });
    }
  }

  #fail(keys: readonly (string | undefined)[], error: unknown): void {
    for (const key of keys) this.#endEvent(key, messageOf(error));
  }

  #endEvent(key: string | undefined, failure: string | undefined, attributes: Record<string, string> = {}): void {
    const open = key === undefined ? undefined : this.#open.get(key);
    if (key === undefined || open === undefined) return;
    this.#open.delete(key);
    this.#options.spans.end(open.span, this.now(), failure, attributes);
  }
}

/** An event that is not traced carries no context: no other node traces it. */
function withContext(draft: Draft, traceparent: string | undefined): Draft {
  const { traceparent: _, ...rest } = draft;
  return traceparent === undefined ? rest : { ...rest, traceparent };
}
