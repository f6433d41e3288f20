/** Serves each configured Mongrel2, and ends all streams when the daemon stops. */
import { handOver } from "../mongrel2/hand-over.js";
import { serveMongrel2 } from "../mongrel2/serve-mongrel2.js";
import { type DaemonContext, started } from "./daemon-context.js";

/** Resolves when the sockets of all servers exist; a Mongrel2 that does not answer yet is served as soon as it does. */
export async function startServers(context: DaemonContext): Promise<void> {
  const { conditions, initial, observe, options, served, state } = context;
  const deps = {
    hub: started(context.hub, "the hub"),
    store: started(context.store, "the client store"),
    requestHandler: started(context.router, "the router"),
    ...{ observe, clock: options.clock, conditions, times: initial.stream, zmq: initial.zmq },
    retryMs: () => context.config.stream.retry,
    yielded: closeIngressWhenAllYielded(context),
  };
  for (const server of initial.mongrel2) {
    const one = await serveMongrel2(server, deps);
    served.push(one);
    const { send_spec: sendSpec, recv_spec: recvSpec } = server;
    state.servers.push({ server: one.server, sendSpec, recvSpec, link: one.link });
  }
}

export async function stopServers({ served, options: { log } }: DaemonContext): Promise<void> {
  for (const one of served.toReversed()) {
    const { name } = one.server;
    if (await one.stop())
      log.info({ event: "server_stopped", server: name }, "every request from Mongrel2 has its response");
    else {
      const fix =
        "none, the next process looks for them; Mongrel2 did not answer, or a ZeroMQ proxy (bind = true) stands between";
      log.warn({ event: "server_stopped", server: name, fix }, "stopped: requests in progress may be lost");
    }
  }
}

/**
 * Without any Mongrel2 left to serve, this daemon's publications would reach no client: they stay in the publishers' PUSH sockets, for
 * the daemon that binds the address next.
 */
function closeIngressWhenAllYielded({ initial, options, publishers }: DaemonContext): () => Promise<void> {
  let serving = initial.mongrel2.length;
  return async () => {
    serving--;
    if (serving > 0 || publishers === undefined || publishers.addresses.length === 0) return;
    await publishers.close();
    const fix = "stop this daemon, or the other one and then restart this one";
    const text = "closed the ZeroMQ ingress: another daemon serves Mongrel2";
    options.log.warn({ event: "ingress_closed", address: publishers.addresses.join(" "), fix }, text);
  };
}

/**
 * Leaves the streams open for the next process, or closes them where no process could continue them: with --drain, with a history in
 * memory, which the next process does not have, and beside a second daemon.
 */
export function endStreams(context: DaemonContext): Promise<void> {
  const { config, initial, options, served, state } = context;
  state.phase = "stopping";
  const isHistoryVolatile = initial.history.store === "memory";
  const isClosing = options.drain || isHistoryVolatile || served.some(({ isContended }) => isContended);
  return handOver({
    hub: started(context.hub, "the hub"),
    requestHandler: started(context.router, "the router"),
    links: served.map(({ link }) => link),
    clock: options.clock,
    retryMs: isClosing ? config.stream.retry : undefined,
    isHistoryVolatile,
    abandoned: (connections) =>
      options.log.warn(
        { event: "responses_abandoned", connections },
        "responses took too long while stopping: publishers got 503, other connections were closed",
      ),
  });
}
