/**
 * Work that is done in turns of the event loop: in each turn a limited number of frames and bytes, taken from the peers that have
 * something, a few frames of each in rotation. So a flood is read (a program that ends soon after its last message takes with it what
 * nobody has read) while timers, answers and other connections have their turn, and a peer that sends little never waits behind
 * all that a flooding one has sent. (32,768 empty messages in one turn: a GET took 343 ms, events came 18 s late.)
 */

/** What one turn may take. A refused message costs 3 us, a good one up to 10. */
const TURN = { frames: 512, bytes: 65_536 };
/** Frames of one peer before the next one has its turn. */
const FRAMES_IN_A_ROW = 64;

/** What is left; whoever works takes off what it took. */
export interface Budget {
  frames: number;
  bytes: number;
}

export interface Worker {
  /** Works until the budget is used up or nothing is left; returns whether something is. Takes at least one frame off the budget. */
  work(budget: Budget): boolean;
}

export class Turns {
  /** In the order in which they have their turn. */
  readonly #waiting = new Set<Worker>();
  readonly #left: Budget = { ...TURN };
  readonly #own: Budget = { ...TURN };
  #isScheduled = false;

  /** It has something to do: at once where this turn's budget has room. */
  add(worker: Worker): void {
    this.#waiting.add(worker);
    if (!this.#isScheduled) this.#begin();
    this.#run();
  }

  /** Whether somebody waits for the next turn. */
  get isBehind(): boolean {
    return this.#waiting.size > 0;
  }

  readonly #turn = (): void => {
    this.#isScheduled = false;
    if (this.#waiting.size === 0) return;
    this.#begin();
    this.#run();
  };

  #begin(): void {
    this.#isScheduled = true;
    this.#left.frames = TURN.frames;
    this.#left.bytes = TURN.bytes;
    setImmediate(this.#turn);
  }

  #run(): void {
    const left = this.#left;
    for (const worker of this.#waiting) {
      if (left.frames <= 0 || left.bytes <= 0) return;
      // To the end of the line before it works: where work() throws, its turn comes again.
      this.#waiting.delete(worker);
      this.#waiting.add(worker);
      if (!this.#some(worker)) this.#waiting.delete(worker);
    }
  }

  #some(worker: Worker): boolean {
    const [left, own] = [this.#left, this.#own];
    const frames = Math.min(FRAMES_IN_A_ROW, left.frames);
    own.frames = frames;
    own.bytes = left.bytes;
    try {
      return worker.work(own);
    } finally {
      left.frames -= frames - own.frames;
      left.bytes = own.bytes;
    }
  }
}
