/** Conditions of a publication on the newest stored event of its canonical topic (RFC 9110 section 13, with event ids as entity tags). */
import { ProtocolError } from "../errors.js";

export type PublishCondition =
  /** The newest event has one of these ids; "any" = there is one. */
  | { readonly kind: "matches"; readonly ids: readonly string[] | "any" }
  /** The topic has no stored event. */
  | { readonly kind: "absent" };

/** The condition does not hold: nothing was published. */
export class ConditionFailed extends ProtocolError {
  /** The id of the newest event; undefined = the topic has none. */
  readonly currentId: string | undefined;

  constructor(currentId: string | undefined) {
    const current =
      currentId === undefined ? "the topic has no stored event" : `the topic's newest event is ${currentId}`;
    super("conflict", current);
    this.currentId = currentId;
  }
}

/** Throws ConditionFailed. */
export function checkCondition(condition: PublishCondition, currentId: string | undefined): void {
  if (!holds(condition, currentId)) throw new ConditionFailed(currentId);
}

function holds(condition: PublishCondition, currentId: string | undefined): boolean {
  if (condition.kind === "absent") return currentId === undefined;
  return currentId !== undefined && (condition.ids === "any" || condition.ids.includes(currentId));
}
