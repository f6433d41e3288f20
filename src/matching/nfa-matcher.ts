/**
 * Runs programs: all alternatives in parallel, one unit of the text after the other. It never backtracks, so no pattern is exponential; a match
 * costs at most MAX_STEP_COUNT steps and allocates nothing: all matches share the same lists.
 *
 * A backtracking RegExp has neither limit. Linear engines that build a DFA while they match have the first in theory only: with
 * `.*a.{900}` such an engine needed 170 ms and 7 MB for one topic of 4 kB, this one less than 2 ms.
 */
import { MAX_STATE_COUNT, type NfaProgram, OP } from "./automaton.js";

/**
 * Visits of instructions in one match. A match that needs more counts as no match, as the protocol requires (Mercure, "URL Pattern"). A topic of
 * 4 kB and a pattern with five consecutive wildcards need 70,000.
 */
export const MAX_STEP_COUNT = 100_000;

/** One instance runs all programs: a match is never interrupted. */
class NfaMatcher {
  /** Visits in the last match. */
  steps = 0;
  /** Visits in all matches. */
  total = 0;
  /** Instructions that read the unit at `#at`, and those that read the one before. */
  #waiting = new Int32Array(MAX_STATE_COUNT);
  #before = new Int32Array(MAX_STATE_COUNT);
  #count = 0;
  #at = 0;
  #accepted = false;
  /** The turn in which an instruction was last reached: it is visited once a turn, however many paths lead to it. */
  readonly #reached = new Float64Array(MAX_STATE_COUNT);
  #turn = 0;
  readonly #open = new Int32Array(2 * MAX_STATE_COUNT);

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

  /** Reads one unit of the text: instructions that accept it continue. */
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

  /** Visits every instruction that can be reached from one without reading a unit. */
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

const machine = new NfaMatcher();

/** Whether the program matches the whole text within `most` steps. */
export function matchesNfa(program: NfaProgram, input: string, most = MAX_STEP_COUNT): boolean {
  const isMatch = machine.matchesNfa(program, input, most);
  machine.total += machine.steps;
  return isMatch;
}

/** Visits in all matches so far, about 10 ns each: the difference of two calls is the cost of the matches between them. */
export function stepsSoFar(): number {
  return machine.total;
}
