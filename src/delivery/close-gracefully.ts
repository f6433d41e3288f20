/** Closes many streams at once without making all browsers reconnect at once. */
import { encodeRetry } from "../protocol/sse.js";
import type { Outlet } from "./outlet.js";

/** Clients that get the same reconnection time. */
const GROUP_CLIENTS = 32;

/** Tells each connection to reconnect after `retryMs` to 1.5 x `retryMs`, and closes it after what is queued for it. */
export function closeGracefully(outlet: Outlet, ids: readonly number[], retryMs: number, random: () => number): void {
  for (let from = 0; from < ids.length; from += GROUP_CLIENTS) {
    const group = ids.slice(from, from + GROUP_CLIENTS);
    const waitMs = Math.round(retryMs * (1 + random() / 2));
    outlet.deliver(outlet.address(group), encodeRetry(waitMs));
    outlet.close(group);
  }
}
