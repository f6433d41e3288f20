/** Reports whether a Mongrel2 can be reached: one condition for the two connections of its link. */
import { messageOf } from "../errors.js";
import type { Observe } from "../hub/events.js";
import { conditionTexts } from "../util/condition-texts.js";
import type { Conditions } from "../util/conditions.js";
import type { TransportObserver } from "../zmq/transport.js";

export function reachabilityObserver(server: string, conditions: Conditions, observe: Observe): TransportObserver {
  /** Addresses that are unreachable now. */
  const unreachable = new Set<string>();
  return {
    unreachable: ({ address, what, fix, cause }) => {
      unreachable.add(address);
      const details = { address, cause: messageOf(cause) };
      const text = conditionTexts.unreachable(what, fix);
      conditions.begin({ code: "link_failed", subject: server, ...text, level: "warn", details });
    },
    reached: (address) => {
      unreachable.delete(address);
      if (unreachable.size === 0) conditions.end("link_failed", server);
    },
    broken: (error) => observe({ type: "zmqConnectionLost", error }),
  };
}
