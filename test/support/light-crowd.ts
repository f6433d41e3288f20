/** Many browsers in a thread of their own, which hold what numbered events each received: for loads that SseClient cannot read. */
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { Worker } from "node:worker_threads";

export interface CrowdWorkerData {
  /** Ports of Mongrel2; the clients use them in turn. */
  readonly ports: readonly number[];
  readonly size: number;
}

/** `count`: asks how many clients have not connected yet, or have fewer different events. */
export type CrowdRequest = "report" | { readonly count: number };

export interface CrowdReport {
  /** Numbers of each client, as they came. */
  readonly received: readonly Int32Array[];
  /** m2push-gap events of all clients. */
  readonly gapCount: number;
  /** How often each client connected. */
  readonly openCounts: readonly number[];
  /** The id of each number. */
  readonly ids: readonly (readonly [number: number, id: string])[];
  /** Numbers that came under more than one id. */
  readonly publishedTwice: readonly number[];
}

/** Between two looks at the clients. */
const POLL_MS = 100;
const WAIT_TIMEOUT_MS = 60_000;

export class LightCrowd {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** Connects; resolves when each client has its first position. */
  static async open(data: CrowdWorkerData): Promise<LightCrowd> {
    const crowd = new LightCrowd(new Worker(new URL("./crowd-worker.js", import.meta.url), { workerData: data }));
    await crowd.until(0);
    return crowd;
  }

  /** Resolves when each client has `count` different events. */
  async until(count: number): Promise<void> {
    const end = performance.now() + WAIT_TIMEOUT_MS;
    for (;;) {
      const missing = await this.#ask<number>({ count });
      if (missing === 0) return;
      if (performance.now() > end) throw new Error(`${missing} clients have not received ${count} events`);
      await pause(POLL_MS);
    }
  }

  report(): Promise<CrowdReport> {
    return this.#ask("report");
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  async #ask<T>(request: CrowdRequest): Promise<T> {
    const answer = once(this.#worker, "message");
    this.#worker.postMessage(request);
    const [message] = await answer;
    return message as T;
  }
}
