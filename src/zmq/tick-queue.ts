/**
 * Work that is done in turns of the event loop: in each turn a limited number of messages and bytes, taken from the peers that have
 * something, a few messages of each in rotation. So a flood is read (a program that ends soon after its last message takes with it what
 * nobody has read) while timers, answers and other connections have their turn, and a peer that sends little never waits behind
 * all that a flooding one has sent. (32,768 empty messages in one turn: a GET took 343 ms, events came 18 s late.)
 */

/** What one turn may take: a read of 64 kB of ordinary messages, and what it costs to look at it (a quarter). A refused message costs 2 to 8 us, a good one up to 10. */
const TURN = { messages: 768, bytes: 81_920 };
/** Messages of one peer before the next one has its turn. */
const MAX_WORKER_MESSAGE_COUNT = 64;

/** What is left; whoever works takes off what it took. */
export interface TickBudget {
  /** Commands and pieces that were read, too. */
  messages: number;
  bytes: number;
}

export interface TickWorker {
  /** Works until the budget is used up or nothing is left; returns whether something is. Whatever it does takes something off. */
  work(budget: TickBudget): boolean;
}

export class TickQueue {
  /** Those that had nothing before. They come first, with half of a turn: who sends little does not wait for all who send much. */
  readonly #newWorkers = new Set<TickWorker>();
  /** Those that had more than they could do, in the order in which they have their turn. */
  readonly #backlog = new Set<TickWorker>();
  readonly #remaining: TickBudget = { ...TURN };
  readonly #workerBudget: TickBudget = { ...TURN };
  #isScheduled = false;
  #isPaused = false;

  /** It has something to do: at once where this turn's budget has room. */
  add(worker: TickWorker): void {
    if (!this.#backlog.has(worker)) this.#newWorkers.add(worker);
    if (this.#isPaused) return;
    if (!this.#isScheduled) this.#startTick();
    this.#run();
  }

  /** While paused nobody works; whoever has something to do waits. */
  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
    if (!isPaused && this.hasBacklog && !this.#isScheduled) this.#startTick();
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Whether somebody waits for the next turn. */
  get hasBacklog(): boolean {
    return this.#newWorkers.size + this.#backlog.size > 0;
  }

  readonly #tick = (): void => {
    this.#isScheduled = false;
    if (this.#isPaused || !this.hasBacklog) return;
    this.#startTick();
    this.#run();
  };

  #startTick(): void {
    this.#isScheduled = true;
    this.#remaining.messages = TURN.messages;
    this.#remaining.bytes = TURN.bytes;
    setImmediate(this.#tick);
  }

  #run(): void {
    this.#runAll(this.#newWorkers, 0.5);
    this.#runAll(this.#backlog, 0);
    this.#runAll(this.#newWorkers, 0);
  }

  /** `reserve`: the part of a turn that is left to the others. */
  #runAll(workers: Set<TickWorker>, reserve: number): void {
    const left = this.#remaining;
    for (const worker of workers) {
      if (left.messages <= reserve * TURN.messages || left.bytes <= reserve * TURN.bytes) return;
      // To the end of the line before it works: where work() throws, its turn comes again.
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
    try {
      return worker.work(own);
    } finally {
      left.messages -= messages - own.messages;
      left.bytes = own.bytes;
    }
  }
}
