/**
 * Runs programs: all alternatives side by side, one unit of the text after the other. It never goes back, so no pattern is
 * exponential; a match costs at most MAX_STEPS and no memory: the lists it needs are made once, for all.
 *
 * A backtracking RegExp has neither bound. Linear engines that build a DFA on the way have the first only in theory: with
 * `.*a.{900}` such an engine needed 170 ms and 7 MB for one topic of 4 kB, this one less than 2 ms.
 */
import { MAX_SIZE, type NfaProgram, OP } from "./automaton.js";

/**
 * Visits to instructions in one match. What needs more counts as no match, which the protocol asks for (Mercure, "URL
 * Pattern"). A topic of 4 kB and a pattern with five wildcards in a row need 70,000.
 */
export const MAX_STEPS = 100_000;

/** One machine serves all programs: a match is never interrupted. */
class Machine {
  /** Visits in the last match. */
  steps = 0;
  /** Visits ever. */
  total = 0;
  /** Instructions that wait for the unit at `#at`, and those that waited for the one before. */
  #waiting = new Int32Array(MAX_SIZE);
  #before = new Int32Array(MAX_SIZE);
  #count = 0;
  #at = 0;
  #accepted = false;
  /** The turn in which an instruction was last reached: it is reached once a turn, by however many ways. */
  readonly #reached = new Float64Array(MAX_SIZE);
  #turn = 0;
  readonly #open = new Int32Array(2 * MAX_SIZE);

  matchesNfa(program: NfaProgram, input: string, most: number): boolean {
    const { prefix, suffix } = program;
    this.steps = 0;
    const end = input.length - suffix.length;
    if (prefix.length > end || !input.startsWith(prefix) || !input.endsWith(suffix)) return false;
    this.#begin(prefix.length);
    this.#reach(program, 0, input);
    while (this.#at < end) {
      if (this.#count === 0 || this.steps > most) return false;
      this.#take(program, input);
    }
    return this.#accepted;
  }

  #begin(at: number): void {
    [this.#waiting, this.#before] = [this.#before, this.#waiting];
    this.#count = 0;
    this.#at = at;
    this.#accepted = false;
    this.#turn++;
  }

  /** One unit of the text: whoever waited for it goes on. */
  #take(program: NfaProgram, input: string): void {
    const { ops, args, classes } = program;
    const unit = input.charCodeAt(this.#at);
    const count = this.#count;
    this.#begin(this.#at + 1);
    this.steps += count;
    for (let i = 0; i < count; i++) {
      const pc = this.#before[i] as number;
      const op = ops[pc];
      const arg = args[pc] as number;
      const taken = op === OP.unit ? unit === arg : classes[arg]?.[Math.min(unit, 128)] === 1;
      if (taken) this.#reach(program, op === OP.members ? pc : pc + 1, input);
    }
  }

  /** Everything that can be reached from an instruction without taking a unit. */
  #reach(program: NfaProgram, from: number, input: string): void {
    const open = this.#open;
    let depth = 0;
    open[depth++] = from;
    while (depth > 0) {
      const pc = open[--depth] as number;
      if (this.#reached[pc] === this.#turn) continue;
      this.#reached[pc] = this.#turn;
      this.steps++;
      const arg = program.args[pc] as number;
      switch (program.ops[pc] as number) {
        case OP.accept:
          this.#accepted = true;
          break;
        case OP.jump:
          open[depth++] = arg;
          break;
        case OP.fork:
          open[depth++] = arg;
          open[depth++] = pc + 1;
          break;
        case OP.start:
          if (this.#at === 0) open[depth++] = pc + 1;
          break;
        case OP.end:
          if (this.#at === input.length) open[depth++] = pc + 1;
          break;
        case OP.members:
          this.#waiting[this.#count++] = pc;
          open[depth++] = pc + 1;
          break;
        default:
          this.#waiting[this.#count++] = pc;
      }
    }
  }
}

const machine = new Machine();

/** Whether the program matches the whole text, in so many steps. */
export function matchesNfa(program: NfaProgram, input: string, most = MAX_STEPS): boolean {
  const isMatch = machine.matchesNfa(program, input, most);
  machine.total += machine.steps;
  return isMatch;
}

/** Visits in all matches so far: whoever runs many of them can see what they cost. About 10 ns each. */
export function stepsSoFar(): number {
  return machine.total;
}

/** The same, and what it cost: for tests and for those who want to know. */
export function measure(program: NfaProgram, input: string): { readonly matchesNfa: boolean; readonly steps: number } {
  return { matchesNfa: machine.matchesNfa(program, input, MAX_STEPS), steps: machine.steps };
}
