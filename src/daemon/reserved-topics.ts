/** Which topics belong to the hub itself. */
import { hubUrl } from "../http/app.js";
import { isReserved } from "../http/mercure/reserved.js";
import type { DaemonContext } from "./daemon-context.js";

/** A test whether a topic is in the hub's own namespace, which is closed to publishers. */
export function isReservedTopic({ initial }: DaemonContext): (topic: string) => boolean {
  const hub = new URL(hubUrl(initial));
  return (topic) => isReserved(topic, hub);
}
