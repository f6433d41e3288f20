/** A selection (selection.ts) while it is sent. */
import type { GapReason } from "./reasons.js";
import type { SelectionRequest, StoredSelection } from "./selection.js";
import type { SelectionSearch } from "./selection-search.js";

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
