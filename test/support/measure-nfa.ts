import type { NfaProgram } from "../../src/matching/automaton.js";
import { matchesNfa, stepsSoFar } from "../../src/matching/nfa-matcher.js";

/** Runs a program on a text and counts its steps. */
export function measureNfa(program: NfaProgram, input: string): { readonly isMatch: boolean; readonly steps: number } {
  const before = stepsSoFar();
  const isMatch = matchesNfa(program, input);
  return { isMatch, steps: stepsSoFar() - before };
}
