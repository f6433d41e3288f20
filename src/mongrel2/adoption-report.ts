/** What a recovery leaves undecided, as standing problems: in the log, /status and the metrics while they last. */
import type { ServerConfig } from "../config/schema.js";
import type { Observe } from "../hub/events.js";
import type { Conditions } from "../util/conditions.js";

/** Told each time that it is known better. */
export interface AdoptionReport {
  /** So many clients of the record are neither adopted nor closed; 0 = all are decided. */
  undecided(clients: number): void;
  /** So many connections may be nobody's; "some" = their number cannot be known; 0 = none is any more. */
  orphansUnknown(connections: number | "some", why: string): void;
  /** So many connections were closed because nobody would have answered them. */
  orphansClosed(connections: number, rule: "ours" | "exclusive" | "unknown"): void;
}

type Server = Pick<ServerConfig, "name" | "orphan_timeout">;

export function reportAdoption(server: Server, conditions: Conditions, observe: Observe): AdoptionReport {
  const { name, orphan_timeout: timeoutMs } = server;
  return {
    undecided(clients) {
      if (clients === 0) {
        conditions.end("adoption_undecided", name);
        return;
      }
      conditions.begin({
        code: "adoption_undecided",
        subject: name,
        message: `${clients} streams of the last run wait for the proof that Mongrel2 is still the same process`,
        fix: "none needed: without a proof they are closed after 12 s, and browsers come back by themselves; if it lasts, check [[mongrel2]] control",
        level: "info",
        details: { clients },
      });
    },
    orphansUnknown(connections, why) {
      if (connections === 0) {
        conditions.end("orphans_unknown", name);
        return;
      }
      conditions.begin({
        code: "orphans_unknown",
        subject: name,
        message: `${connections} connections may wait for an answer or events that will never come, and nobody can tell whose they are: ${orphanOutcome(connections, timeoutMs)}`,
        fix: `set [[mongrel2]] database, if no other application answers requests of this Mongrel2 (${why}); or restart Mongrel2`,
        details: { connections },
      });
    },
    orphansClosed: (connections, rule) => observe({ type: "orphansClosed", server: name, connections, rule }),
  };
}

function orphanOutcome(connections: number | "some", timeoutMs: number): string {
  if (connections === "some") return "without the control port none of them is closed";
  if (timeoutMs === 0) return "none of them is closed, because orphan_timeout is 0";
  return `each is closed when no byte has moved on it for ${timeoutMs / 1000} s (orphan_timeout)`;
}
