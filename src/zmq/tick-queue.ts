/**
 * Work that is done in turns of the event loop: in each turn a limited number of messages and bytes, taken from the peers that have
 * something, a few messages of each in rotation. So a flood is read (a program that ends soon after its last message takes with it what
 * nobody has read) while timers, answers and other connections have their turn, and a peer that sends little never waits behind
 * all that a flooding one has sent. (32,768 empty messages in one turn: a GET took 343 ms, events came 18 s late.)
 */

/** What one turn may take: a read of 64 kB of ordinary messages, and what it costs to look at it (a quarter). A refused message costs 2 to 8 us, a good one up to 10. */
const TURN = { messages: 768, bytes: 81_920 };
/** Messages of one peer before the next one has its turn. */
const MESSAGES_IN_A_ROW = 64;

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
  readonly #fresh = new Set<TickWorker>();
  /** Those that had more than they could do, in the order in which they have their turn. */
  readonly #waiting = new Set<TickWorker>();
  readonly #left: TickBudget = { ...TURN };
  readonly #own: TickBudget = { ...TURN };
  #isScheduled = false;
  #isPaused = false;

  /** It has something to do: at once where this turn's budget has room. */
  add(worker: TickWorker): void {
    if (!this.#waiting.has(worker)) this.#fresh.add(worker);
    if (this.#isPaused) return;
    if (!this.#isScheduled) this.#begin();
    this.#run();
  }

  /** While paused nobody works; whoever has something to do waits. */
  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
    if (!isPaused && this.isBehind && !this.#isScheduled) this.#begin();
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Whether somebody waits for the next turn. */
  get isBehind(): boolean {
    return this.#fresh.size + this.#waiting.size > 0;
  }

  readonly #turn = (): void => {
    this.#isScheduled = false;
    if (this.#isPaused || !this.isBehind) return;
    this.#begin();
    this.#run();
  };

  #begin(): void {
    this.#isScheduled = true;
    this.#left.messages = TURN.messages;
    this.#left.bytes = TURN.bytes;
    setImmediate(this.#turn);
  }

  #run(): void {
    this.#serve(this.#fresh, 0.5);
    this.#serve(this.#waiting, 0);
    this.#serve(this.#fresh, 0);
  }

  /** `reserve`: the part of a turn that is left to the others. */
  #serve(workers: Set<TickWorker>, reserve: number): void {
    const left = this.#left;
    for (const worker of workers) {
      if (left.messages <= reserve * TURN.messages || left.bytes <= reserve * TURN.bytes) return;
      // To the end of the line before it works: where work() throws, its turn comes again.
      workers.delete(worker);
      this.#waiting.add(worker);
      if (!this.#some(worker)) this.#waiting.delete(worker);
    }
  }

  #some(worker: TickWorker): boolean {
    const [left, own] = [this.#left, this.#own];
    const messages = Math.min(MESSAGES_IN_A_ROW, left.messages);
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
