/** Conditions of the cluster: disconnected from NATS; the stream stores no publications. */
import { conditionTexts } from "../util/condition-texts.js";
import type { Conditions } from "../util/conditions.js";

export interface StreamObserver {
  /** The daemon follows the stream, or (`why`) it does not. Called on each change. */
  readonly changed: (why: string | undefined) => void;
  /** The stream refuses publications (`why`), or it stores them again. Called for each refusal. */
  readonly refused: (why: string | undefined) => void;
}

export function clusterConditions(conditions: Conditions): StreamObserver {
  return {
    changed(why) {
      if (why === undefined) conditions.end("cluster_unavailable", "");
      else conditions.begin({ code: "cluster_unavailable", subject: "", ...unavailable(why) });
    },
    refused(why) {
      if (why === undefined) conditions.end("storage_failing", "");
      else conditions.begin({ code: "storage_failing", subject: "", ...refusal(why) });
    },
  };
}

const unavailable = (why: string) => ({ ...conditionTexts.clusterUnavailable(why), level: "error" as const });

const refusal = (why: string) => ({ ...conditionTexts.streamRefuses(why), details: { publications: "rejected" } });
