/** The request of a client to become a stream. */

import type { Interest } from "../matching/interest.js";
import type { ClientIdentity } from "./client-identity.js";
import type { ReplayRequest } from "./replay.js";
import type { SelectionRequest, StateKind } from "./selection.js";

export interface Subscription extends Omit<ClientIdentity, "since"> {
  readonly interest: Interest;
  /** From Hub.findReplay(). */
  readonly replay: ReplayRequest;
  /** How it asked for state at once, for observers; absent = it did not, or a last event id counts instead. */
  readonly stateKind?: StateKind | undefined;
  /** What it is sent before the events after its start; only without a last event id. Absent = nothing. */
  readonly selection?: SelectionRequest | undefined;
  /** Private events are withheld from it because connection ids are not trusted (ServerDelivery.servesPrivate). Absent = false. */
  readonly isPublicOnly?: boolean;
  /** Its first position is sent as an event of type m2push-open; false = as a block with an id only. Absent = true. */
  readonly namesOpening?: boolean;
  /** The first bytes of the response: the HTTP head and what precedes the first event. */
  readonly head: Buffer;
}
