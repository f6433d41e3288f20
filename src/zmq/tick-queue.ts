/**
 * Fair queue of work over ticks of the event loop: each tick handles a limited number of messages and bytes, a few messages of each
 * peer in rotation. A flood is read on (a publisher that exits loses what was not read) while timers, responses and other connections
 * are served, and a peer that sends little does not wait behind a flooding one. (With 32,768 empty messages in one tick a GET took
 * 343 ms, and events were 18 s late.)
 */

/** Messages of one tick: a rejected one costs 2 to 8 us, a valid one up to 10. */
const TICK_MESSAGE_COUNT = 768;
/** Time of one tick, after which no further worker runs: what a message costs depends on its kind, and on the machine. */
const TICK_MS = 5;
/** Bytes of one tick: one read of 64 kB of ordinary messages, and a part of that for each read that is begun. */
const TICK_BYTES = 81_920;
/** Messages of one peer before the next peer is served; and while many wait: of 1,000 flooding peers each is served several times a second. */
const MAX_WORKER_MESSAGE_COUNT = 64;
const MAX_CROWD_MESSAGE_COUNT = 16;
/** The same for a worker that had little or nothing before: with 1,000 of them an event waits for 4,000 others, 50 ms. */
const MAX_NEW_WORKER_MESSAGE_COUNT = 4;
/** Connections that are taken in in each tick, whatever else there is to do; each costs 0.1 to 0.2 ms. */
const MIN_ARRIVAL_COUNT = 2;
/** Workers that a tick serves in full. */
const TICK_WORKER_COUNT = TICK_MESSAGE_COUNT / MAX_WORKER_MESSAGE_COUNT;

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
  /** Workers with much work, or work left from their last run, in order. */
  readonly #backlog = new Set<TickWorker>();
  /** Connections that are not taken in yet. */
  readonly #arrivals = new Set<TickWorker>();
  readonly #remaining: TickBudget = { messages: 0, bytes: 0 };
  readonly #workerBudget: TickBudget = { messages: 0, bytes: 0 };
  readonly #tickBytes: number;
  readonly #now: () => number;
  /** When this tick has begun. */
  #startedAt = 0;
  /** The worker that runs now; it is in #backlog, too. */
  #running: TickWorker | undefined;
  #isScheduled = false;
  #isPaused = false;

  /** `now`: milliseconds. `tickBytes`: bytes of one tick. */
  constructor(now: () => number, tickBytes = TICK_BYTES) {
    this.#now = now;
    this.#tickBytes = tickBytes;
  }

  /** Adds a worker with a little work to do. Runs it at once if the budget of this tick allows. */
  add(worker: TickWorker): void {
    if (!this.#backlog.has(worker)) this.#newWorkers.add(worker);
    this.#runInThisTick();
  }

  /** As add(), for a worker with much work: it is served after those with a little. */
  addToBacklog(worker: TickWorker): void {
    if (!this.#newWorkers.has(worker)) this.#backlog.add(worker);
    this.#runInThisTick();
  }

  /** Adds a connection that is to be taken in. Few are while others have work: a crowd that arrives delays nobody. */
  addArrival(arrival: TickWorker): void {
    this.#arrivals.add(arrival);
    this.#runInThisTick();
  }

  /** Adds a worker that is not run before the next tick: it may be called from within the work of this one or another. */
  addToNextTick(worker: TickWorker): void {
    if (!this.#backlog.has(worker)) this.#newWorkers.add(worker);
    if (!this.#isPaused && !this.#isScheduled) this.#startTick();
  }

  /** While paused no worker runs; their work waits. */
  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
    if (!isPaused && this.#hasWork && !this.#isScheduled) this.#startTick();
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

  /** More workers wait than a tick serves: whatever is read from their connections now waits as well, and only takes time from this turn. */
  get isCrowded(): boolean {
    return this.#newWorkers.size + this.#backlog.size > TICK_WORKER_COUNT;
  }

  get #hasWorkers(): boolean {
    return this.#newWorkers.size + this.#backlog.size > 0;
  }

  get #hasWork(): boolean {
    return this.#hasWorkers || this.#arrivals.size > 0;
  }

  readonly #tick = (): void => {
    this.#isScheduled = false;
    if (this.#isPaused || !this.#hasWork) return;
    this.#startTick();
    for (let count = 0; count < MIN_ARRIVAL_COUNT; count++) this.#runArrival();
    this.#run();
  };

  #runInThisTick(): void {
    if (this.#isPaused) return;
    if (!this.#isScheduled) this.#startTick();
    this.#run();
  }

  #startTick(): void {
    this.#isScheduled = true;
    this.#remaining.messages = TICK_MESSAGE_COUNT;
    this.#remaining.bytes = this.#tickBytes;
    this.#startedAt = this.#now();
    setImmediate(this.#tick);
  }

  #run(): void {
    this.#runAll(this.#newWorkers, 0.5, MAX_NEW_WORKER_MESSAGE_COUNT);
    this.#runAll(this.#backlog, 0, this.isCrowded ? MAX_CROWD_MESSAGE_COUNT : MAX_WORKER_MESSAGE_COUNT);
    this.#runAll(this.#newWorkers, 0, MAX_NEW_WORKER_MESSAGE_COUNT);
    while (this.#arrivals.size > 0 && this.#hasBudget(0)) this.#runArrival();
  }

  #runArrival(): void {
    const [arrival] = this.#arrivals;
    if (!arrival) return;
    this.#arrivals.delete(arrival);
    this.#runOne(arrival, MAX_WORKER_MESSAGE_COUNT);
  }

  /** `reserveRatio`: the share of a tick that is left to other workers. `maxMessages`: of each worker. */
  #runAll(workers: Set<TickWorker>, reserveRatio: number, maxMessages: number): void {
    for (const worker of workers) {
      if (!this.#hasBudget(reserveRatio)) return;
      // Moved to the end before it works: it runs again if work() throws.
      workers.delete(worker);
      this.#backlog.add(worker);
      if (!this.#runOne(worker, maxMessages)) this.#backlog.delete(worker);
    }
  }

  #hasBudget(reserveRatio: number): boolean {
    const { messages, bytes } = this.#remaining;
    if (messages <= reserveRatio * TICK_MESSAGE_COUNT || bytes <= reserveRatio * this.#tickBytes) return false;
    return this.#now() - this.#startedAt < (1 - reserveRatio) * TICK_MS;
  }

  #runOne(worker: TickWorker, maxMessages: number): boolean {
    const [left, own] = [this.#remaining, this.#workerBudget];
    const messages = Math.min(maxMessages, left.messages);
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
