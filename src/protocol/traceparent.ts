/** The trace context of a publisher (W3C Trace Context, "traceparent Header"): the span that an event's spans belong to. */
import { invalid } from "./event-fault.js";

export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** Whether the publisher records its trace. */
  readonly isSampled: boolean;
}

/** Later versions may append members after another "-" ("Versioning of traceparent"); version 00 has none. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;
const VERSION_0_CHARACTERS = 55;
const SAMPLED_FLAG = 1;

/** Undefined = the text is none, and is ignored ("Processing Model"). */
export function parseTraceparent(text: string): TraceContext | undefined {
  const [, version, traceId, spanId, flags] = TRACEPARENT.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === "00" && text.length !== VERSION_0_CHARACTERS) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED_FLAG) === SAMPLED_FLAG };
}

/** A member of an event, in the form of version 00; undefined = absent, or no trace context. Throws "invalid" for anything but a string. */
export function readTraceparent(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw invalid('"traceparent" must be a string');
  const context = parseTraceparent(value);
  return context && printTraceparent(context);
}

export function printTraceparent({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`;
}
