/** Creates a transport of the chosen implementation. */
import { LibzmqTransport, type LibzmqTransportOptions } from "./libzmq-transport.js";
import { NativeTransport, type NativeTransportOptions } from "./native-transport.js";
import type { Transport } from "./transport.js";

type TransportOptions = NativeTransportOptions & LibzmqTransportOptions;

/** Over libzmq the identity is not announced: libzmq sends it for sockets of other types only, and Mongrel2 does not use it. */
export function openTransport(implementation: "native" | "libzmq", options: TransportOptions): Transport {
  return implementation === "libzmq" ? new LibzmqTransport(options) : new NativeTransport(options);
}
