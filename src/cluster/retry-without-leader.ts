/**
 * Retries a request that a server of a NATS cluster refused because it knows no leader of the stream. A server that stood still for a while
 * answers so at once, before the leader's answer arrives: it has not heard yet that the others elected one. Measured with NATS 2.9 for
 * STREAM.MSG.GET, while STREAM.INFO, which delays such an answer, succeeded. Without a leader the session ends by itself, because its
 * inspections fail.
 */
import { JetStreamApiError } from "@nats-io/jetstream";
import type { Clock } from "../util/clock.js";

/** NATS' error code of "JetStream system temporarily unavailable". */
const NO_LEADER_CODE = 10008;
const RETRY_INTERVAL_MS = 100;
/** An election takes four to nine seconds, and one of the cluster may precede that of the stream. */
const LEADER_TIMEOUT_MS = 20_000;

/** Rejects with the last refusal after LEADER_TIMEOUT_MS, and at once with any other error. */
export async function retryWithoutLeader<Result>(clock: Clock, request: () => Promise<Result>): Promise<Result> {
  for (const end = clock.monotonic() + LEADER_TIMEOUT_MS; ; ) {
    try {
      return await request();
    } catch (error) {
      const isLeaderUnknown = error instanceof JetStreamApiError && error.code === NO_LEADER_CODE;
      if (!isLeaderUnknown || clock.monotonic() >= end) throw error;
    }
    await new Promise<void>((resolve) => clock.after(RETRY_INTERVAL_MS, resolve));
  }
}
