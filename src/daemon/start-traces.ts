/** Starts the traces of [traces], and reports a collector that does not take spans. */

import { openTraces } from "../observability/traces/open-traces.js";
import type { SpanObserver } from "../observability/traces/span-queue.js";
import { conditionTexts } from "../util/condition-texts.js";
import type { DaemonContext } from "./daemon-context.js";

export async function startTraces(context: DaemonContext): Promise<void> {
  const { endpoint, service_name: serviceName } = context.initial.traces;
  if (endpoint === "") return;
  context.traces = await openTraces({
    ...{ endpoint, serviceName, clock: context.options.clock },
    observer: spanObserver(context, endpoint),
  });
}

function spanObserver({ conditions, observe }: DaemonContext, endpoint: string): SpanObserver {
  return {
    exported(spans) {
      observe({ type: "spansHandled", result: "exported", spans });
      conditions.end("traces_failing", endpoint);
    },
    failed(spans, reason) {
      observe({ type: "spansHandled", result: "failed", spans });
      conditions.begin({ code: "traces_failing", subject: endpoint, ...conditionTexts.tracesFailing(reason) });
    },
    dropped: (spans) => observe({ type: "spansHandled", result: "dropped", spans }),
  };
}
