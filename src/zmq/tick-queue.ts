/**
 * Fair queue of work over ticks of the event loop: each tick handles a limited number of messages and bytes, a few messages of each
 * peer in rotation. A flood is read on (a publisher that exits loses what was not read) while timers, responses and other connections
 * are served, and a peer that sends little does not wait behind a flooding one. (With 32,768 empty messages in one tick a GET took
 * 343 ms, and events were 18 s late.)
 */

/** Messages of one tick: a rejected one costs 2 to 8 us, a valid one up to 10. */
const TICK_MESSAGE_COUNT = 768;
/** Bytes of one tick: one read of 64 kB of ordinary messages, and a quarter of that for scanning it. */
const TICK_BYTES = 81_920;
/** Messages of one peer before the next peer is served. */
const MAX_WORKER_MESSAGE_COUNT = 64;

/** The remaining budget; a worker subtracts what it has used. */
export interface TickBudget {
  /** Messages, commands and chunks. */
  messages: number;
  bytes: number;
}

export interface TickWorker {
  /** Works until the budget or the work is used up; returns whether work is left. Every step must reduce the budget. */
  work(budget: TickBudget): boolean;
  /** Asked while it works: whether work is left behind what it handles at this moment. */
  readonly hasMore: boolean;
}

export class TickQueue {
  /** Workers that had no work before. They are served first, with half of a tick, so that they do not wait for the backlog. */
  readonly #newWorkers = new Set<TickWorker>();
  /** Workers with work left from their last run, in order. */
  readonly #backlog = new Set<TickWorker>();
  readonly #remaining: TickBudget = { messages: TICK_MESSAGE_COUNT, bytes: TICK_BYTES };
  readonly #workerBudget: TickBudget = { messages: TICK_MESSAGE_COUNT, bytes: TICK_BYTES };
  /** The worker that runs now; it is in #backlog, too. */
  #running: TickWorker | undefined;
  #isScheduled = false;
  #isPaused = false;

  /** Adds a worker with work to do. Runs it at once if the budget of this tick allows. */
  add(worker: TickWorker): void {
    if (!this.#backlog.has(worker)) this.#newWorkers.add(worker);
    if (this.#isPaused) return;
    if (!this.#isScheduled) this.#startTick();
    this.#run();
  }

  /** Adds a worker that is not run before the next tick: it may be called from within the work of this one or another. */
  addToNextTick(worker: TickWorker): void {
    if (!this.#backlog.has(worker)) this.#newWorkers.add(worker);
    if (!this.#isPaused && !this.#isScheduled) this.#startTick();
  }

  /** While paused no worker runs; their work waits. */
  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
    if (!isPaused && this.#hasWorkers && !this.#isScheduled) this.#startTick();
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /**
   * Whether work waits behind what is handled at this moment. The last message of a worker is no backlog: otherwise the flush of each
   * single event would wait for the next tick, as in a flood.
   */
  get hasBacklog(): boolean {
    const running = this.#running;
    if (running === undefined) return this.#hasWorkers;
    return running.hasMore || this.#newWorkers.size + this.#backlog.size > 1;
  }

  get #hasWorkers(): boolean {
    return this.#newWorkers.size + this.#backlog.size > 0;
  }

  readonly #tick = (): void => {
    this.#isScheduled = false;
    if (this.#isPaused || !this.#hasWorkers) return;
    this.#startTick();
    this.#run();
  };

  #startTick(): void {
    this.#isScheduled = true;
    this.#remaining.messages = TICK_MESSAGE_COUNT;
    this.#remaining.bytes = TICK_BYTES;
    setImmediate(this.#tick);
  }

  #run(): void {
    this.#runAll(this.#newWorkers, 0.5);
    this.#runAll(this.#backlog, 0);
    this.#runAll(this.#newWorkers, 0);
  }

  /** `reserveRatio`: the share of a tick that is left to other workers. */
  #runAll(workers: Set<TickWorker>, reserveRatio: number): void {
    const left = this.#remaining;
    for (const worker of workers) {
      if (left.messages <= reserveRatio * TICK_MESSAGE_COUNT || left.bytes <= reserveRatio * TICK_BYTES) return;
      // Moved to the end before it works: it runs again if work() throws.
      workers.delete(worker);
      this.#backlog.add(worker);
      if (!this.#runOne(worker)) this.#backlog.delete(worker);
    }
  }

  #runOne(worker: TickWorker): boolean {
    const [left, own] = [this.#remaining, this.#workerBudget];
    const messages = Math.min(MAX_WORKER_MESSAGE_COUNT, left.messages);
    own.messages = messages;
    own.bytes = left.bytes;
    this.#running = worker;
    try {
      return worker.work(own);
    } finally {
      this.#running = undefined;
      left.messages -= messages - own.messages;
      left.bytes = own.bytes;
    }
  }
}
