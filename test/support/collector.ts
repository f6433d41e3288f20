/** An OpenTelemetry collector: takes OTLP over HTTP as JSON, and keeps the spans. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { Changes } from "./deadline.js";

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** Nanoseconds since 1970. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** The message of an error; undefined = it ended well. */
  readonly error: string | undefined;
  /** service.name of the daemon. */
  readonly service: unknown;
}

export class Collector {
  readonly spans: CollectedSpan[] = [];
  /** Status of its answers; 400 = it takes no spans, and the daemon does not send them again. */
  status = 200;
  requests = 0;
  readonly #changes = new Changes();
  #url = "";

  get url(): string {
    return this.#url;
  }

  /** The spans of each trace, by its id. */
  get traces(): ReadonlyMap<string, readonly CollectedSpan[]> {
    const traces = new Map<string, CollectedSpan[]>();
    for (const span of this.spans) {
      const trace = traces.get(span.traceId);
      if (trace) trace.push(span);
      else traces.set(span.traceId, [span]);
    }
    return traces;
  }

  async until(look: (collector: this) => boolean, what: string): Promise<void> {
    const found = () => `; it has ${this.spans.length} spans`;
    await this.#changes.until(() => look(this), what, undefined, found);
  }

  async start(t: Pick<TestContext, "after">): Promise<this> {
    const server = createServer(async (request, response) => {
      const body = await bodyOf(request);
      this.requests++;
      if (this.status === 200) this.spans.push(...spansOf(body));
      response.writeHead(this.status, { "content-type": "application/json" }).end("{}");
      this.#changes.tell();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return this;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  return body;
}

interface Value {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number; readonly boolValue?: boolean };
}

const valuesOf = (attributes: readonly Value[] = []) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? value.boolValue]));

function spansOf(body: string): CollectedSpan[] {
  const spans: CollectedSpan[] = [];
  for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans)
    for (const { spans: some } of scopeSpans)
      for (const { startTimeUnixNano, endTimeUnixNano, attributes, status, ...span } of some)
        spans.push({
          ...span,
          start: BigInt(startTimeUnixNano),
          end: BigInt(endTimeUnixNano),
          attributes: valuesOf(attributes),
          error: status.code === 2 ? (status.message ?? "") : undefined,
          service: valuesOf(resource.attributes)["service.name"],
        });
  return spans;
}
