/** The thread of a relay (relay.ts): does what it is told, and answers each order with nothing, or with why it could not. */
import { connect, createServer, type Socket } from "node:net";
import { parentPort } from "node:worker_threads";

export interface RelayAddress {
  readonly port: number;
  /** An IP address. */
  readonly host: string;
  /** The port of the ZeroMQ socket, at 127.0.0.1. */
  readonly to: number;
}

/** `close`: how long publishers may take to leave, milliseconds. */
export type RelayOrder = { readonly listen: RelayAddress } | { readonly close: number };

/** After so much silence a publisher has nothing half written, milliseconds. */
const PAUSE = 2;

/** The ends at the ZeroMQ socket, by those at publishers; until the former are closed: then all has come through. */
const connections = new Map<Socket, Socket>();
const server = createServer({ allowHalfOpen: true, noDelay: true });
const answer = (failed?: string) => parentPort?.postMessage(failed);
let isClosing = false;

parentPort?.on("message", (order: RelayOrder) => {
  if ("listen" in order) listen(order.listen);
  else close(order.close);
});

function listen({ port, host, to }: RelayAddress): void {
  server.on("connection", (outer) => join(outer, connect({ port: to, host: "127.0.0.1", noDelay: true })));
  const fail = ({ message }: Error) => answer(message);
  server.once("error", fail).listen({ port, host }, () => {
    // From now on it is one connection that could not be taken (too many files are open).
    server.off("error", fail).on("error", () => {});
    answer();
  });
}

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
    if (isClosing) answerWhenClosed();
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
  answerWhenClosed();
}

function answerWhenClosed(): void {
  if (connections.size === 0) answer();
}
