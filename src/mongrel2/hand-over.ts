/**
 * The stop of a daemon: it answers every request that Mongrel2 has delivered, hands over or closes every stream, and makes sure
 * that Mongrel2 takes the frames. HANDOVER_STEPS is the order. Each step has its own timeout, so that a Mongrel2 that hangs or a
 * response that never completes cannot delay the stop.
 *
 * Requests arrive, and are served as usual, until the PULL socket has reached its end. Events that were published before the stop reach the
 * streams first; later events go to the history only, and the next process replays them. Streams are closed before receiving stops:
 * without a PULL socket, a notice would block Mongrel2's output until the next process connects (docs/architecture/mongrel2.md 2.8).
 * Streams that open after that are closed at the end.
 */
import type { Hub } from "../hub/hub.js";
import { type Clock, waitAtMost } from "../util/clock.js";
import type { RequestHandler } from "./dispatch.js";
import type { Mongrel2Link } from "./mongrel2-link.js";

/** How long published events may take to reach the streams. */
const DELIVERY_TIMEOUT_MS = 2000;
/** How long responses may take that wait for a disk, a token's key or a cluster. */
const RESPONSES_TIMEOUT_MS = 2000;

export interface HandoverOptions {
  readonly hub: Pick<Hub, "suspendDelivery" | "delivered" | "close" | "handOver" | "seal">;
  readonly requestHandler: Pick<RequestHandler, "idle" | "abandon">;
  readonly links: readonly Pick<Mongrel2Link, "stopReceiving">[];
  readonly clock: Clock;
  /** Closes the streams, and sends browsers this `retry`, milliseconds; undefined = the next process adopts the streams. */
  readonly retryMs: number | undefined;
  /** The history ends with this process: it rejects publications from the first step on. */
  readonly isHistoryVolatile: boolean;
  /** Called with the number of connections whose responses took too long. */
  readonly abandoned: (connections: number) => void;
}

interface Step {
  readonly name: string;
  readonly run: (options: HandoverOptions) => unknown;
}

export const HANDOVER_STEPS: readonly Step[] = [
  {
    name: "deliver published events",
    run: ({ hub, clock, isHistoryVolatile }) => {
      if (isHistoryVolatile) hub.seal();
      else hub.suspendDelivery();
      return waitAtMost(clock, DELIVERY_TIMEOUT_MS, hub.delivered());
    },
  },
  { name: "close or hand over the streams", run: endStreams },
  {
    name: "stop receiving",
    run: ({ links }) => Promise.all(links.map((link) => link.stopReceiving())),
  },
  {
    name: "complete responses",
    run: ({ requestHandler, clock }) => waitAtMost(clock, RESPONSES_TIMEOUT_MS, requestHandler.idle()),
  },
  {
    name: "abandon responses that take too long",
    run: ({ requestHandler, abandoned }) => {
      const connections = requestHandler.abandon();
      if (connections > 0) abandoned(connections);
    },
  },
  { name: "close streams that opened meanwhile", run: endStreams },
  { name: "reject publications", run: ({ hub }) => hub.seal() },
];

function endStreams({ hub, retryMs }: HandoverOptions): void {
  if (retryMs === undefined) hub.handOver();
  else hub.close(retryMs);
}

/** Runs the steps in order. Never rejects. Mongrel2Link.stop() then waits until Mongrel2 has taken what was sent. */
export async function handOver(options: HandoverOptions): Promise<void> {
  for (const { run } of HANDOVER_STEPS) await run(options);
}
