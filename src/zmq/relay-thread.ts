/** The thread of a relay (relay.ts): told how long to wait it closes, and reports when it listens and when it has closed. */
import { connect, createServer, type Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

export interface RelayAddress {
  readonly port: number;
  /** An IP address. */
  readonly host: string;
  /** The port of the ZeroMQ socket, at 127.0.0.1. */
  readonly to: number;
}

export interface RelayReport {
  /** Why it does not listen. */
  readonly failed?: string;
}

const { port, host, to }: RelayAddress = workerData;
const report = (it: RelayReport) => parentPort?.postMessage(it);
/** The ends at the ZeroMQ socket, by those at publishers; until the former are closed: then all has come through. */
const connections = new Map<Socket, Socket>();
let isClosing = false;
/** After so much silence a publisher has nothing half written, milliseconds. */
const PAUSE = 2;

const server = createServer({ allowHalfOpen: true, noDelay: true }, (outer) => {
  join(outer, connect({ port: to, host: "127.0.0.1", noDelay: true }));
});
server.once("error", ({ message }) => report({ failed: message }));
server.listen({ port, host }, () => report({}));
parentPort?.once("message", close);

/** Nobody is held back: what waits for the daemon waits in libzmq, as if there were no relay. */
function join(outer: Socket, inner: Socket): void {
  connections.set(outer, inner);
  outer.on("data", (bytes) => inner.write(bytes));
  inner.on("data", (bytes) => outer.writableEnded || outer.write(bytes));
  for (const end of [outer, inner]) end.on("error", () => {}); // it closes
  outer.once("end", () => inner.end()).once("close", () => inner.end());
  inner.once("close", () => {
    connections.delete(outer);
    outer.destroy();
    if (isClosing) reportWhenClosed();
  });
}

/**
 * libzmq writes what has gathered in pieces of 8 kB, and forgets a message that the end of a piece cuts if that is when it hears
 * that we close: so a publisher that is catching up may pause first. (One that is held up at that moment still loses that one.)
 */
function close(patience: number): void {
  isClosing = true;
  server.close();
  for (const outer of connections.keys()) outer.setTimeout(PAUSE, () => outer.end());
  setTimeout(() => {
    for (const outer of connections.keys()) outer.end();
  }, patience / 2);
  setTimeout(() => {
    for (const pair of connections) for (const end of pair) end.destroy();
  }, patience);
  reportWhenClosed();
}

function reportWhenClosed(): void {
  if (connections.size === 0) report({});
}
