/** What the monitor of a libzmq socket reports of a handshake that failed, and the fix. */
import { ProtocolError } from "../errors.js";

/** `reason`: the code of the monitor's event; "" = the connection ended without one. */
export function handshakeError(reason: string): ProtocolError {
  const [what, fix] = HANDSHAKE_ERRORS[reason] ?? [
    `the ZeroMQ handshake failed (${reason})`,
    "check the log of the peer",
  ];
  return new ProtocolError("invalid", `${what}; fix: ${fix}`);
}

const NOT_ADMITTED = ["the peer's key is not admitted", "compare its public key with the configuration"] as const;
/** libzmq reports no handshake of a ZMTP 2 peer, and so takes the end of its connection for a failure. */
const ENDED = [
  "a connection ended without a handshake of ZMTP 3",
  "none for a peer of ZeroMQ 3, whose messages arrive; otherwise set CURVE at both ends, or at neither",
] as const;
/** By the code of the monitor's event, "" = none: what happened, and the fix. */
const HANDSHAKE_ERRORS: Readonly<Record<string, readonly [what: string, fix: string]>> = {
  "": [
    "the ZeroMQ handshake failed: the peer is a socket of the wrong type, or closed the connection",
    "check whether two addresses are swapped",
  ],
  EPIPE: ENDED,
  ECONNRESET: ENDED,
  ERR_ZMTP_MECHANISM_MISMATCH: [
    "the peer uses another security mechanism",
    "set CURVE at both ends, or at neither, and check that the peer speaks ZeroMQ 4.0 or later",
  ],
  ERR_ZMTP_CRYPTOGRAPHIC: [
    "the CURVE handshake failed",
    "compare the server's public key at the peer with its secret key here",
  ],
  "status 400": NOT_ADMITTED,
  "status 300": NOT_ADMITTED,
};
