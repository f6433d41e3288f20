/**
 * What a daemon does when it stops: every request that Mongrel2 has handed to it is answered, every stream is handed over or closed,
 * and the frames that say so are taken. The list below is the order; each step has its own limit, so that a Mongrel2 that hangs, or an
 * answer that never comes, cannot hold up the stop.
 *
 * Requests come in until Mongrel2's PULL side is at its end, and are served as ever, in this order: events that were published
 * before the stop reach the streams first; then streams get nothing more (what is published goes to the history, from which the next
 * process goes on). Streams that are to be closed are closed while Mongrel2 can still say which of them are gone: once PULL is gone, a
 * notice would stop its output until the next process comes. Those that open after that are closed at the end.
 */
import type { Hub } from "../hub/hub.js";
import { type Clock, waitAtMost } from "../util/clock.js";
import type { RequestHandler } from "./dispatch.js";
import type { Mongrel2Link } from "./mongrel2-link.js";

/** How long what was published may take to reach the streams, milliseconds. */
const DELIVERY_TIMEOUT_MS = 2000;
/** How long answers may take that wait for a disk, a token's key or a cluster, milliseconds. */
const RESPONSES_TIMEOUT_MS = 2000;

export interface HandoverOptions {
  readonly hub: Pick<Hub, "suspendDelivery" | "delivered" | "close" | "handOver" | "seal">;
  readonly requestHandler: Pick<RequestHandler, "idle" | "abandon">;
  readonly links: readonly Pick<Mongrel2Link, "stopReceiving">[];
  readonly clock: Clock;
  /** Close the streams, and tell browsers to come back after so many milliseconds; undefined = leave them to the next process. */
  readonly retryMs: number | undefined;
  /** What is published from now on would be lost with this process: it is refused. */
  readonly isHistoryVolatile: boolean;
  /** Told how many connections were given up because their answers took too long. */
  readonly abandoned: (connections: number) => void;
}

interface Step {
  readonly name: string;
  readonly run: (options: HandoverOptions) => unknown;
}

export const HANDOVER_STEPS: readonly Step[] = [
  {
    name: "send what was published",
    run: ({ hub, clock, isHistoryVolatile: isForgetful }) => {
      if (isForgetful) hub.seal();
      else hub.suspendDelivery();
      return waitAtMost(clock, DELIVERY_TIMEOUT_MS, hub.delivered());
    },
  },
  { name: "close or hand over the streams", run: endStreams },
  {
    name: "stop receiving",
    run: ({ links: endpoints }) => Promise.all(endpoints.map((endpoint) => endpoint.stopReceiving())),
  },
  {
    name: "answer what was received",
    run: ({ requestHandler, clock }) => waitAtMost(clock, RESPONSES_TIMEOUT_MS, requestHandler.idle()),
  },
  {
    name: "give up answers that take too long",
    run: ({ requestHandler, abandoned }) => {
      const connections = requestHandler.abandon();
      if (connections > 0) abandoned(connections);
    },
  },
  { name: "close streams that opened meanwhile", run: endStreams },
  { name: "refuse publications", run: ({ hub }) => hub.seal() },
];

function endStreams({ hub, retryMs: retry }: HandoverOptions): void {
  if (retry === undefined) hub.handOver();
  else hub.close(retry);
}

/** Takes the steps, in order. Never rejects; after it, what was sent only needs to be taken (Endpoint.stop). */
export async function handOver(options: HandoverOptions): Promise<void> {
  for (const { run } of HANDOVER_STEPS) await run(options);
}
