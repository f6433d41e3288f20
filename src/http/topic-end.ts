/** The response to a client whose topic has ended (delivery/topic-ends.ts), and which has had everything. */
import type { ReplayRequest } from "../delivery/replay.js";
import type { Response } from "./response.js";

/** An EventSource does not come back after it (WHATWG HTML 9.2.3). */
export const ENDED: Response = { status: 204, headers: { "Cache-Control": "no-store" }, persists: true };

/** Whether a client comes with the id of the final event of its topic, or a later position. */
export function hasHadAll({ lastEventId, offset }: ReplayRequest, end: number): boolean {
  return typeof offset === "number" && offset >= end && lastEventId !== undefined && lastEventId !== "earliest";
}
