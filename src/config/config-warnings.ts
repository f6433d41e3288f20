import type { Config } from "./schema.js";
import { linkImplementation } from "./zmq-implementation.js";

/** Valid settings that disable a function, which may not be intended. `m2push config` prints them. */
export function configWarnings(config: Config): string[] {
  return [...withoutPrivateEvents(config), ...lossyStops(config)];
}

function withoutPrivateEvents({ mongrel2 }: Config): string[] {
  return mongrel2
    .filter(({ bind, control }) => bind && control === undefined)
    .map(({ name }) => {
      const problem = `[[mongrel2]] "${name}" has bind = true and no control: private events are not served`;
      return `${problem}; fix: set control to Mongrel2's control_port`;
    });
}

/** See Transport.stopReceiving(). */
function lossyStops(config: Config): string[] {
  return config.mongrel2
    .map((server) => ({ ...server, ...linkImplementation(config, server) }))
    .filter(({ implementation }) => implementation === "libzmq")
    .map(({ name, reason }) => {
      const problem = `[[mongrel2]] "${name}" is served over libzmq (${reason}): a stop of the daemon may lose requests that Mongrel2 has sent, and the next process closes their connections after orphan_timeout`;
      return `${problem}; fix: use native sockets if that must not happen`;
    });
}
