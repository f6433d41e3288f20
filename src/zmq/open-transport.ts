/** Creates a transport of the chosen implementation. */
import { LibzmqTransport } from "./libzmq-transport.js";
import { NativeTransport, type NativeTransportOptions } from "./native-transport.js";
import type { Transport } from "./transport.js";

/** Over libzmq the identity is not announced: libzmq sends it for sockets of other types only, and Mongrel2 does not use it. */
export function openTransport(implementation: "native" | "libzmq", options: NativeTransportOptions): Transport {
  return implementation === "libzmq" ? new LibzmqTransport(options) : new NativeTransport(options);
}
