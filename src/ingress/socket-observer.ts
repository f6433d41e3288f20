/** Reports events of the socket for publishers as daemon events and, while the socket cannot accept connections, as a condition. */
import type { Observe } from "../hub/events.js";
import type { Conditions } from "../util/conditions.js";
import type { SocketObserver } from "./ingress.js";

export function socketObserver(address: string, conditions: Conditions, observe: Observe): SocketObserver {
  return {
    refused: (error, peer) => observe({ type: "peerRejected", address, error, peer }),
    failed: ({ what: message, fix }) => conditions.begin({ code: "overloaded", subject: address, message, fix }),
    recovered: () => conditions.end("overloaded", address),
    broken: (error) => observe({ type: "zmqConnectionLost", error }),
  };
}
