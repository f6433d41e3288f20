/** Reports what a connection adoption leaves undecided, as conditions: in the log, /status and the metrics while they last. */
import type { ServerConfig } from "../config/schema.js";
import type { Observe } from "../hub/events.js";
import { conditionTexts } from "../util/condition-texts.js";
import type { Conditions } from "../util/conditions.js";

/** Called whenever a number changes. */
export interface AdoptionReport {
  /** Number of clients of the record that are neither adopted nor closed; 0 = all are decided. */
  undecided(clients: number): void;
  /** Number of connections that may wait for a response in vain; "some" = it cannot be known; 0 = none is left. */
  orphansUnknown(connections: number | "some", reason: string): void;
  /** Number of connections that were closed because no process would have answered them. */
  orphansClosed(connections: number, rule: "ours" | "exclusive" | "unknown"): void;
}

type Server = Pick<ServerConfig, "name" | "orphan_timeout">;

export function reportAdoption(server: Server, conditions: Conditions, observe: Observe): AdoptionReport {
  const { name, orphan_timeout: timeoutMs } = server;
  return {
    undecided: (clients) => reportUndecided(name, clients, conditions),
    orphansUnknown: (connections, reason) => reportUnknown(name, { connections, reason, timeoutMs }, conditions),
    orphansClosed: (connections, rule) => observe({ type: "orphansClosed", server: name, connections, rule }),
  };
}

function reportUndecided(subject: string, clients: number, conditions: Conditions): void {
  if (clients === 0) {
    conditions.end("adoption_undecided", subject);
    return;
  }
  conditions.begin({
    code: "adoption_undecided",
    subject,
    ...conditionTexts.adoptionUndecided(clients),
    level: "info",
    details: { clients },
  });
}

interface UnknownOrphans {
  readonly connections: number | "some";
  readonly reason: string;
  readonly timeoutMs: number;
}

function reportUnknown(subject: string, { connections, reason, timeoutMs }: UnknownOrphans, conditions: Conditions) {
  if (connections === 0) {
    conditions.end("orphans_unknown", subject);
    return;
  }
  conditions.begin({
    code: "orphans_unknown",
    subject,
    ...conditionTexts.orphansUnknown(connections, timeoutMs, reason),
    details: { connections },
  });
}
