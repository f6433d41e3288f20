/** Errors of sockets: what happened, at which address, and the fix. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { M2pushError, type ProtocolError } from "../errors.js";

/** A socket could not be bound or connected, or a connection broke: "link_failed". */
export class TransportError extends M2pushError {
  readonly address: string;
  /** The operating system's code, such as "ECONNREFUSED"; "" = none. */
  readonly errno: string;
  /** What happened, without the fix. */
  readonly what: string;
  readonly fix: string;

  constructor(address: string, errno: string, what: string, fix: string, cause: unknown) {
    super("link_failed", `${what}; fix: ${fix}`, { cause });
    this.address = address;
    this.errno = errno;
    this.what = what;
    this.fix = fix;
  }
}

const COMPARE_ADDRESS = "compare the address with send_spec and recv_spec in mongrel2.conf";

interface Explanation {
  readonly why: string;
  readonly fix: string;
}

/** `isBind`: the socket could not be bound; else it could not be connected. */
export function endpointError(address: string, isBind: boolean, cause: unknown): TransportError {
  const { code: errno = "", message } = cause as NodeJS.ErrnoException;
  const { why, fix } = (isBind ? explainBind(address, errno) : explainConnect(address, errno)) ??
    explainCommon(errno) ?? { why: message || errno || String(cause), fix: "correct the address" };
  const verb = isBind ? "bind" : "connect";
  return new TransportError(address, errno, `cannot ${verb} ${address}: ${why}`, fix, cause);
}

/** An established connection has ended with an error. */
export function connectionBroken(address: string, remote: string, cause: NodeJS.ErrnoException): TransportError {
  const { code: errno = "", message } = cause;
  const from = remote ? ` with ${remote}` : "";
  const what = `the connection${from} at ${address} broke: ${message}`;
  return new TransportError(address, errno, what, "check whether the peer was killed, and the network", cause);
}

/** libzmq cannot connect, and does not report why. */
export function noConnection(address: string): TransportError {
  const what = `cannot connect ${address}: no connection (libzmq does not report the reason)`;
  return new TransportError(address, "", what, `start Mongrel2, or ${COMPARE_ADDRESS}`, undefined);
}

/** The server at the address is not a valid peer. */
export function wrongPeer(address: string, cause: ProtocolError): TransportError {
  const [what = "", fix = COMPARE_ADDRESS] = cause.message.split("; fix: ");
  return new TransportError(address, "", `at ${address}: ${what}`, fix, cause);
}

/** A bound socket cannot accept a connection. */
export function cannotAccept(address: string, cause: NodeJS.ErrnoException): TransportError {
  const { code: errno = "", message } = cause;
  const { why, fix } = explainCommon(errno) ?? { why: message, fix: "check the log of the system" };
  return new TransportError(address, errno, `cannot accept connections at ${address}: ${why}`, fix, cause);
}

function explainBind(address: string, errno: string): Explanation | undefined {
  const path = pathOf(address);
  switch (errno) {
    case "EADDRINUSE":
      return {
        why: "address already in use: another program, or another m2push, has this address",
        fix: "stop the other program, or choose another address",
      };
    case "EEXIST":
      return { why: "the path is that of a file other than a socket", fix: `remove ${path}, or choose another path` };
    case "EACCES":
    case "EPERM":
      if (path !== undefined) return explainNoAccess(dirname(path), "write to");
      return { why: "permission denied", fix: "choose a port above 1023" };
    case "EADDRNOTAVAIL":
      return { why: "this machine has no such address", fix: "use an address of this machine, or *" };
    default:
      return undefined;
  }
}

function explainConnect(address: string, errno: string): Explanation | undefined {
  const path = pathOf(address);
  const compare = COMPARE_ADDRESS;
  switch (errno) {
    case "ECONNREFUSED":
      return { why: "connection refused: nothing listens there", fix: `start Mongrel2, or ${compare}` };
    case "ENOENT":
      return path === undefined || existsSync(dirname(path))
        ? { why: "the socket file does not exist", fix: `start Mongrel2, or ${compare}` }
        : { why: `the directory ${dirname(path)} does not exist`, fix: compare };
    case "EACCES":
    case "EPERM":
      return path === undefined
        ? { why: "permission denied", fix: "allow the connection in the firewall" }
        : explainNoAccess(path, "read and write");
    case "ETIMEDOUT":
      return { why: "no answer in time", fix: `check that the host is up and no firewall drops packets; ${compare}` };
    default:
      return undefined;
  }
}

function explainCommon(errno: string): Explanation | undefined {
  switch (errno) {
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAI_NODATA":
    case "EAI_NONAME":
      return { why: `the host name does not resolve (${errno})`, fix: "correct the name, or the machine's DNS" };
    case "EMFILE":
    case "ENFILE":
      return { why: "too many open files", fix: "raise the limit of open files (LimitNOFILE=, ulimit -n)" };
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return { why: `no route to the host (${errno})`, fix: "check the network and the address" };
    case "ENOTDIR":
      return { why: "a part of the path is not a directory", fix: "correct the path" };
    case "ENAMETOOLONG":
      return { why: "the path is too long", fix: "choose a path of at most 107 bytes" };
    default:
      return undefined;
  }
}

const pathOf = (address: string): string | undefined => /^ipc:\/\/([^@].*)$/.exec(address)?.[1];

/** libuv reports a missing directory as "permission denied". */
function explainNoAccess(path: string, verb: string): Explanation {
  if (existsSync(path)) return { why: "permission denied", fix: `let the user of m2push ${verb} ${path}` };
  return { why: `${path} does not exist`, fix: "create it, or correct the path" };
}
