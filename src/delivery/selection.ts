/**
 * State at once: what a stream asks for at its start instead of a last event id. The events that answer it are found by selection-search.ts,
 * and sent by catchup.ts before the stream goes on with everything that was published after `join`.
 */
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
