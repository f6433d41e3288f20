/**
 * The way of spans to the collector: a batch processor of OpenTelemetry between two wrappers that count. The processor drops spans
 * in silence when its queue is full; the first wrapper drops them before, and tells.
 */
import type { ReadableSpan, SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { OpenTelemetry } from "./load-opentelemetry.js";

/** Finished spans that wait for the collector: five or six for each event, about 2 kB each. */
const MAX_QUEUED_SPAN_COUNT = 20_000;
const MAX_BATCH_SPAN_COUNT = 1_000;
/** How long spans wait to fill a batch. */
const BATCH_DELAY_MS = 1000;
const EXPORT_TIMEOUT_MS = 10_000;

/** What became of spans. */
export interface SpanObserver {
  exported(spans: number): void;
  /** The collector did not take them; they are lost. */
  failed(spans: number, reason: string): void;
  /** The queue was full; they are lost. */
  dropped(spans: number): void;
}

/** `exporter` sends spans to the collector. */
export function spanQueue(
  { sdk }: Pick<OpenTelemetry, "sdk">,
  exporter: SpanExporter,
  observer: SpanObserver,
): SpanProcessor {
  let queued = 0;
  const counted: SpanExporter = {
    export(spans: ReadableSpan[], done) {
      queued -= spans.length;
      exporter.export(spans, (result) => {
        if (result.error === undefined && result.code === 0) observer.exported(spans.length);
        else observer.failed(spans.length, result.error?.message ?? "the exporter failed");
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
  };
  const batches = new sdk.BatchSpanProcessor(counted, {
    maxQueueSize: MAX_QUEUED_SPAN_COUNT,
    maxExportBatchSize: MAX_BATCH_SPAN_COUNT,
    scheduledDelayMillis: BATCH_DELAY_MS,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS,
  });
  return {
    onStart: (span, context) => batches.onStart(span, context),
    onEnd(span) {
      if (queued >= MAX_QUEUED_SPAN_COUNT) {
        observer.dropped(1);
        return;
      }
      queued++;
      batches.onEnd(span);
    },
    forceFlush: () => batches.forceFlush(),
    shutdown: () => batches.shutdown(),
  };
}
