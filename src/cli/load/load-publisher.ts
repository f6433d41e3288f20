/** The publisher of `m2push load`: events at a fixed rate, whatever the time that one takes. */
import { messageOf } from "../../errors.js";
import type { Clock } from "../../util/clock.js";
import type { PublishTransport } from "../publish-transport.js";
import { loadData } from "./event-counter.js";

const TICK_MS = 5;
const MS_PER_SECOND = 1000;
const US_PER_MS = 1000;
/** Nobody who subscribes later gets the events of a run. */
const EVENT_TTL_MS = 60_000;

export interface PublishPlan {
  readonly transport: PublishTransport;
  readonly topic: string;
  readonly run: string;
  /** Events per second. */
  readonly rate: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

export interface PublishCounts {
  acknowledged: number;
  rejected: number;
  /** Why the first of them was rejected. */
  firstRejection: string;
  /** From the first event to the last acknowledgement, milliseconds. */
  tookMs: number;
}

/** Resolves when the time is over, or the signal is aborted, and every event that was sent is acknowledged or rejected. */
export async function publishAtRate(plan: PublishPlan): Promise<PublishCounts> {
  const { transport, topic, run, rate, seconds, bytes, signal, clock } = plan;
  const counts: PublishCounts = { acknowledged: 0, rejected: 0, firstRejection: "", tookMs: 0 };
  const began = clock.monotonic();
  const total = Math.max(1, Math.round(rate * seconds));
  const elapsedMs = () => clock.monotonic() - began;
  const underWay = new Set<Promise<void>>();
  const publish = async (sequence: number): Promise<void> => {
    const data = loadData(run, sequence, Math.round(clock.monotonic() * US_PER_MS), bytes);
    try {
      await transport.publish({ topics: [topic], data, private: false, ttlMs: EVENT_TTL_MS });
      counts.acknowledged++;
    } catch (error) {
      if (counts.rejected++ === 0) counts.firstRejection = messageOf(error);
    }
  };
  for (let sent = 0; sent < total && elapsedMs() < seconds * MS_PER_SECOND && !signal.aborted; ) {
    const due = Math.min(total, Math.floor((elapsedMs() * rate) / MS_PER_SECOND) + 1);
    for (; sent < due && underWay.size < transport.maxUnderWay; sent++) {
      const done: Promise<void> = publish(sent).finally(() => underWay.delete(done));
      underWay.add(done);
    }
    await new Promise<void>((resolve) => clock.after(TICK_MS, resolve));
  }
  await Promise.all(underWay);
  return { ...counts, tookMs: elapsedMs() };
}
