/** Starts the tracing of events: OpenTelemetry's SDK with an exporter for OTLP over HTTP. */

import type { Clock } from "../../util/clock.js";
import { waitAtMost } from "../../util/clock.js";
import { packageVersion } from "../../util/package-version.js";
import { EventTracer } from "./event-tracer.js";
import { loadOpenTelemetry } from "./load-opentelemetry.js";
import { type SpanObserver, spanQueue } from "./span-queue.js";
import { Spans } from "./spans.js";
import { traceClock } from "./trace-clock.js";

export interface TracesOptions {
  /** URL of the collector. */
  readonly endpoint: string;
  readonly serviceName: string;
  readonly clock: Clock;
  readonly observer: SpanObserver;
}

export interface Traces {
  readonly tracer: EventTracer;
  /** Sends the spans that wait, for at most STOP_TIMEOUT_MS. Never rejects: what the collector does not take is counted. */
  close(): Promise<void>;
}

const STOP_TIMEOUT_MS = 3000;

/** Throws "config_invalid" when OpenTelemetry is not installed. */
export async function openTraces({ endpoint, serviceName, clock, observer }: TracesOptions): Promise<Traces> {
  const telemetry = await loadOpenTelemetry();
  const { api, sdk, resources, otlp } = telemetry;
  const version = packageVersion();
  const provider = new sdk.BasicTracerProvider({
    resource: resources.resourceFromAttributes({ "service.name": serviceName, "service.version": version }),
    // Spans are made only of events whose publishers record their traces.
    sampler: new sdk.AlwaysOnSampler(),
    spanProcessors: [spanQueue(telemetry, new otlp.OTLPTraceExporter({ url: endpoint }), observer)],
  });
  const spans = new Spans(api, provider.getTracer("m2push", version));
  const dropped = (events: number) => observer.dropped(events);
  return {
    tracer: new EventTracer({ spans, now: traceClock(clock), dropped }),
    close: () => waitAtMost(clock, STOP_TIMEOUT_MS, provider.shutdown()),
  };
}
