/** The request of a client to become a stream. */

import type { Interest } from "../matching/interest.js";
import type { ClientIdentity } from "./client.js";
import type { EqualIds } from "./history.js";

export interface Subscription extends Omit<ClientIdentity, "since"> {
  readonly interest: Interest;
  /** The last event it received; undefined = none, "" = unknown to the client, "earliest" = before every stored publication. */
  readonly lastEventId: string | undefined;
  /** Which publication it has received where several have that id; absent = the oldest. */
  readonly equalIds?: EqualIds | undefined;
  /** Called once, right before it becomes a client: false = it must not. Absent = it may. */
  readonly admit?: () => boolean;
  /** Private events are withheld from it because connection ids are not trusted (ServerDelivery.servesPrivate). Absent = false. */
  readonly isPublicOnly?: boolean;
  /** Its first position is sent as an event of type m2push-open; false = as a block with an id only. Absent = true. */
  readonly namesOpening?: boolean;
  /**
   * Makes the first bytes of the response (the HTTP head and what precedes the first event). `after`: the id of the event before the first
   * one that will be sent, if the client named it and it is known; undefined = events may be missing.
   */
  readonly opening: (after: string | undefined) => Buffer;
}
