import type { RequiredLiteral } from "./pattern-index.js";

/** Whether a topic is selected. */
export interface Matcher {
  (topic: string): boolean;
  /** Of a pattern: literal text without which a topic cannot match. */
  readonly needs?: readonly RequiredLiteral[];
  /** Of a pattern: its states, which bound the cost of one character of a topic. */
  readonly cost?: number;
}
