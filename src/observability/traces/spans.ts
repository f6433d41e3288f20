/** Makes the spans of one event. Of OpenTelemetry it uses types only: the packages are loaded by load-opentelemetry.ts. */
import type { Attributes, Context, Span, Tracer } from "@opentelemetry/api";
import type { TraceContext } from "../../protocol/traceparent.js";
import type { OpenTelemetryApi } from "./load-opentelemetry.js";

/** Start and end: see PublishTraces.now(). */
interface Period {
  readonly start: number;
  readonly end: number;
}

/** Why a span did not end well; absent = it did. */
type Failure = string | undefined;

export class Spans {
  readonly #api: OpenTelemetryApi;
  readonly #tracer: Tracer;

  constructor(api: OpenTelemetryApi, tracer: Tracer) {
    this.#api = api;
    this.#tracer = tracer;
  }

  /** Begins the span of an event, the parent of all others. */
  begin(parent: TraceContext, start: number): { readonly span: Span; readonly context: TraceContext } {
    const { SpanKind } = this.#api;
    const span = this.#tracer.startSpan(
      "publish",
      { startTime: start, kind: SpanKind.CONSUMER },
      this.#contextOf(parent),
    );
    const { traceId, spanId } = span.spanContext();
    return { span, context: { traceId, spanId, isSampled: true } };
  }

  end(span: Span, end: number, failure: Failure, attributes: Attributes = {}): void {
    span.setAttributes(attributes);
    if (failure !== undefined) span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: failure });
    span.end(end);
  }

  /** Records one step of an event. */
  step(
    name: "validate" | "bus" | "store" | "flush" | "fence",
    parent: TraceContext,
    { start, end }: Period,
    attributes: Attributes = {},
    failure: Failure = undefined,
  ): void {
    const span = this.#tracer.startSpan(name, { startTime: start, attributes }, this.#contextOf(parent));
    this.end(span, end, failure);
  }

  #contextOf(parent: TraceContext): Context {
    const { ROOT_CONTEXT, TraceFlags, trace } = this.#api;
    const { traceId, spanId } = parent;
    return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true });
  }
}
