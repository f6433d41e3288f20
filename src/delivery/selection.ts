/**
 * State at once: what a stream asks for at its start instead of a last event id. The events that answer it are found by selection-search.ts,
 * and sent by catchup.ts before the stream goes on with everything that was published after `join`.
 */
import type { GapReason } from "./reasons.js";
import type { SelectionSearch } from "./selection-search.js";

/** How a stream may ask; "since" is answered by a replay from an offset. Labels of a metric. */
export const STATE_KINDS = ["latest", "last", "since"] as const;

export type StateKind = (typeof STATE_KINDS)[number];

export type SelectionRequest =
  /** The newest event of each topic that the selectors match. */
  | { readonly kind: "latest" }
  /** The newest events that the selectors match, all topics together. */
  | { readonly kind: "last"; readonly count: number };

/** As the client record has it. */
export interface StoredSelection {
  readonly request: SelectionRequest;
  /** Every offset above is sent as it comes; the selection is made of those up to it. */
  readonly join: number;
  /** The position after the selection is an event of type m2push-open: see replay.ts. */
  readonly isNamed: boolean;
}

/** A selection that some clients of one audience are being sent. They share it where their requests are equal. */
export class Selecting implements StoredSelection {
  readonly request: SelectionRequest;
  readonly join: number;
  readonly isNamed: boolean;
  /** Equal for equal requests. */
  readonly key: string;
  /** Made when it is needed. */
  search: SelectionSearch | undefined;
  /** Why some of the events cannot be sent. */
  gap: GapReason | undefined;

  constructor({ request, join, isNamed }: StoredSelection) {
    this.request = request;
    this.join = join;
    this.isNamed = isNamed;
    this.key = `${request.kind} ${request.kind === "last" ? request.count : ""} ${join} ${isNamed}`;
  }

  get stored(): StoredSelection {
    const { request, join, isNamed } = this;
    return { request, join, isNamed };
  }
}
