/**
 * Work that comes in pieces, one piece in each turn of the event loop: the first at once, those that come before the next turn
 * wait. So what comes in a flood is read (a program that ends soon after its last message takes with it what nobody has read)
 * while what it leads to goes on in between, and timers, answers and other connections have their turn.
 */

/** Empty places that may stand before what waits. */
const CUT = 1024;

export class Turns {
  readonly #most: number;
  readonly #held: (isFull: boolean) => void;
  /** The first #next places are empty, and cut off now and then, not at each turn. */
  #waiting: (Piece | undefined)[] = [];
  #next = 0;
  #bytes = 0;
  #isFull = false;
  #isTaken = false;
  #isPaused = false;

  /** `held` is told when more than `most` bytes wait, and when less than half of that do again. */
  constructor(most: number, held: (isFull: boolean) => void) {
    this.#most = most;
    this.#held = held;
  }

  /** Pieces keep their order. */
  add(bytes: number, work: () => void): void {
    if (this.#isTaken || this.#isPaused) {
      this.#waiting.push({ bytes, work });
      this.#count(bytes);
      return;
    }
    this.#isTaken = true;
    setImmediate(this.#turn);
    work();
  }

  /** While paused no piece is worked on: all that is added waits. */
  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
    if (isPaused || this.#isTaken || !this.isBehind) return;
    this.#isTaken = true;
    setImmediate(this.#turn);
  }

  /** What was told last. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Whether a piece waits for its turn. */
  get isBehind(): boolean {
    return this.#next < this.#waiting.length;
  }

  readonly #turn = (): void => {
    if (this.#isPaused) {
      this.#isTaken = false;
      return;
    }
    const piece = this.#waiting[this.#next];
    if (!piece) {
      this.#isTaken = false;
      this.#waiting = [];
      this.#next = 0;
      return;
    }
    this.#waiting[this.#next++] = undefined;
    if (this.#next === CUT) this.#waiting = this.#waiting.slice(CUT);
    this.#next %= CUT;
    setImmediate(this.#turn);
    this.#count(-piece.bytes);
    piece.work();
  };

  #count(bytes: number): void {
    this.#bytes += bytes;
    const isFull = this.#bytes > (this.#isFull ? this.#most / 2 : this.#most);
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#held(isFull);
  }
}

interface Piece {
  readonly bytes: number;
  readonly work: () => void;
}
