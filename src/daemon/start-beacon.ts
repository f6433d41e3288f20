/** Starts the beacon of [beacon]: a test event at a fixed interval. */
import { Beacon } from "../hub/beacon.js";
import { type DaemonContext, started } from "./daemon-context.js";
import { internalPublicationFailed } from "./internal-errors.js";

export function startBeacon(context: DaemonContext): void {
  const { initial, observe, options } = context;
  const hub = started(context.hub, "the hub");
  const failed = internalPublicationFailed(observe, options.log);
  context.beacon = new Beacon({ clock: options.clock, publish: (draft) => void hub.publish(draft).catch(failed) });
  context.beacon.start(initial.beacon);
}
