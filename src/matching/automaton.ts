/**
 * Compiles patterns into programs of a nondeterministic automaton (Thompson, 1968), which nfa-matcher.ts runs once over a text. URI templates,
 * URL patterns and the regular expressions in them all use it, so the limits on the cost of a client's pattern are in one place.
 *
 * A pattern matches a whole text. Text is read in UTF-16 code units.
 */
import { ProtocolError } from "../errors.js";
import type { CompileWork } from "./compile-work.js";

/** The largest number of instructions of one program; literal text at its beginning and end is free. */
export const MAX_STATE_COUNT = 512;

/** For each ASCII code, and at 128 for all others, whether a character belongs to the class: 1 or 0. */
export type CharacterClass = Uint8Array;

/** A pattern as a tree. */
export type PatternNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "class"; readonly members: CharacterClass }
  | { readonly kind: "sequence"; readonly nodes: readonly PatternNode[] }
  | { readonly kind: "choice"; readonly nodes: readonly PatternNode[] }
  /** `max` may be Infinity. */
  | { readonly kind: "repeat"; readonly node: PatternNode; readonly min: number; readonly max: number }
  /** The very beginning and the very end of the text. */
  | { readonly kind: "start" | "end" };

/** A compiled pattern; immutable. */
export interface NfaProgram {
  /** The text begins with `prefix` and ends with `suffix`, without overlap; the instructions match the text between them. */
  readonly prefix: string;
  readonly suffix: string;
  readonly ops: Uint8Array;
  /** Depends on the operation: a code unit, a class, or the index of an instruction. */
  readonly args: Int32Array;
  readonly classes: readonly CharacterClass[];
}

export const OP = {
  /** The text matches. */
  accept: 0,
  /** The unit `arg`. */
  unit: 1,
  /** One of class `arg`. */
  member: 2,
  /** Any number of class `arg`: stays at this instruction for each member, and continues with the next one at the same time. */
  members: 3,
  /** Continues at `arg`. */
  jump: 4,
  /** Continues at `arg` and with the next instruction. */
  fork: 5,
  start: 6,
  end: 7,
} as const;

export function textNode(value: string): PatternNode {
  return { kind: "text", text: value };
}

export function sequence(...nodes: readonly PatternNode[]): PatternNode {
  const flat = nodes.flatMap((node) => (node.kind === "sequence" ? node.nodes : [node]));
  return { kind: "sequence", nodes: flat.filter((node) => node.kind !== "text" || node.text !== "") };
}

export function choice(...nodes: readonly [PatternNode, ...PatternNode[]]): PatternNode {
  return nodes.length === 1 ? nodes[0] : { kind: "choice", nodes };
}

export function repeat(node: PatternNode, min: number, max: number): PatternNode {
  return min === 1 && max === 1 ? node : { kind: "repeat", node, min, max };
}

/** The class of all characters for which the predicate is true; `rest`: whether those beyond ASCII belong to it. */
export function classOf(has: (character: string) => boolean, rest = false): CharacterClass {
  const members = new Uint8Array(129);
  for (let code = 0; code < 128; code++) members[code] = has(String.fromCharCode(code)) ? 1 : 0;
  members[128] = rest ? 1 : 0;
  return members;
}

/** Throws "too_large" when the pattern is too complex. */
export function compileNode(pattern: PatternNode, work: CompileWork): NfaProgram {
  const nodes = joinText(pattern.kind === "sequence" ? pattern.nodes : [pattern]);
  const prefix = nodes[0]?.kind === "text" ? nodes[0].text : "";
  const rest = prefix === "" ? nodes : nodes.slice(1);
  const last = rest.at(-1);
  const suffix = last?.kind === "text" ? last.text : "";
  const inner = sequence(...(suffix === "" ? rest : rest.slice(0, -1)));
  if (sizeOf(inner) >= MAX_STATE_COUNT) {
    throw new ProtocolError("too_large", `pattern too complex: it needs more than ${MAX_STATE_COUNT} states`);
  }
  const writer = new Writer();
  writer.emit(inner);
  const program = { prefix, suffix, ...writer.finish() };
  work.spend("state", program.ops.length);
  return program;
}

function joinText(nodes: readonly PatternNode[]): PatternNode[] {
  const joined: PatternNode[] = [];
  for (const node of nodes) {
    const last = joined.at(-1);
    if (node.kind === "text" && last?.kind === "text") joined[joined.length - 1] = textNode(last.text + node.text);
    else joined.push(node);
  }
  return joined;
}

/**
 * The number of instructions of a node. An empty node counts as one: otherwise an empty group, repeated a thousand times within a group that is
 * repeated a thousand times, would be visited a million times and have no size.
 */
function sizeOf(node: PatternNode): number {
  switch (node.kind) {
    case "text":
      return Math.max(1, node.text.length);
    case "sequence":
      return Math.max(1, sum(node.nodes));
    case "choice":
      return sum(node.nodes) + 2 * (node.nodes.length - 1);
    case "repeat":
      return repeatSize(node.node, node.min, node.max);
    case "class":
    case "start":
    case "end":
      return 1;
  }
}

function sum(nodes: readonly PatternNode[]): number {
  return nodes.reduce((size, node) => size + sizeOf(node), 0);
}

/** Repetitions are counted up to the limit, beyond which every pattern is rejected. */
function repeatSize(node: PatternNode, min: number, max: number): number {
  const size = sizeOf(node);
  const least = Math.min(min, MAX_STATE_COUNT);
  if (max === Number.POSITIVE_INFINITY && node.kind === "class") return least + 1;
  if (max === Number.POSITIVE_INFINITY) return least > 0 ? size * least + 1 : size + 2;
  const most = Math.min(max, MAX_STATE_COUNT);
  return size * most + most - least;
}

/** Writes the instructions of nodes. */
class Writer {
  readonly #ops: number[] = [];
  readonly #args: number[] = [];
  readonly #classes: CharacterClass[] = [];

  finish(): Pick<NfaProgram, "ops" | "args" | "classes"> {
    this.#put(OP.accept);
    return { ops: Uint8Array.from(this.#ops), args: Int32Array.from(this.#args), classes: this.#classes };
  }

  emit(node: PatternNode): void {
    switch (node.kind) {
      case "text":
        for (let i = 0; i < node.text.length; i++) this.#put(OP.unit, node.text.charCodeAt(i));
        return;
      case "class":
        this.#put(OP.member, this.#class(node.members));
        return;
      case "sequence":
        for (const each of node.nodes) this.emit(each);
        return;
      case "choice":
        this.#choice(node.nodes);
        return;
      case "repeat":
        if (node.max === Number.POSITIVE_INFINITY) this.#loop(node.node, node.min);
        else this.#options(node.node, node.min, node.max);
        return;
      case "start":
      case "end":
        this.#put(OP[node.kind]);
    }
  }

  #choice(nodes: readonly PatternNode[]): void {
    const ends: number[] = [];
    nodes.forEach((node, i) => {
      const isLast = i === nodes.length - 1;
      const fork = isLast ? -1 : this.#put(OP.fork);
      this.emit(node);
      if (isLast) return;
      ends.push(this.#put(OP.jump));
      this.#args[fork] = this.#ops.length;
    });
    for (const end of ends) this.#args[end] = this.#ops.length;
  }

  #loop(node: PatternNode, min: number): void {
    if (node.kind === "class") {
      this.#times(node, min);
      this.#put(OP.members, this.#class(node.members));
    } else if (min > 0) {
      this.#times(node, min - 1);
      const again = this.#ops.length;
      this.emit(node);
      this.#put(OP.fork, again);
    } else {
      const fork = this.#put(OP.fork);
      this.emit(node);
      this.#put(OP.jump, fork);
      this.#args[fork] = this.#ops.length;
    }
  }

  /** Each repetition above the minimum may be the last. */
  #options(node: PatternNode, min: number, max: number): void {
    this.#times(node, min);
    const forks: number[] = [];
    for (let i = min; i < max; i++) {
      forks.push(this.#put(OP.fork));
      this.emit(node);
    }
    for (const fork of forks) this.#args[fork] = this.#ops.length;
  }

  #times(node: PatternNode, times: number): void {
    for (let i = 0; i < times; i++) this.emit(node);
  }

  #class(members: CharacterClass): number {
    const known = this.#classes.indexOf(members);
    return known >= 0 ? known : this.#classes.push(members) - 1;
  }

  #put(op: number, arg = 0): number {
    this.#args.push(arg);
    return this.#ops.push(op) - 1;
  }
}
