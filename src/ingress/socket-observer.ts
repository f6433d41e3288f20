/** What happens at the socket for publishers: in the log, in the metrics, and, while no connection can be taken, as a condition. */
import type { DaemonObserver } from "../hub/observers.js";
import type { Conditions } from "../util/conditions.js";
import type { SocketObserver } from "./ingress.js";

export function socketObserver(address: string, conditions: Conditions, journal: DaemonObserver): SocketObserver {
  return {
    refused: (error, remote) => journal.peerRefused(address, error, remote),
    failed: ({ what: message, fix }) => conditions.begin({ code: "overloaded", subject: address, message, fix }),
    recovered: () => conditions.end("overloaded", address),
    broken: (error) => journal.connectionBroken(error),
  };
}
