/** Socket types of ZeroMQ: which ones may be connected to a socket of ours, and which type we announce to each. */
import { ProtocolError } from "../errors.js";

/** libzmq compares the types, too: a PUSH socket accepts a PULL socket only, a REQ socket a REP or ROUTER socket. */
const ANNOUNCED_TYPES = {
  PULL: { PUSH: "PULL" },
  PUB: { SUB: "PUB", XSUB: "PUB" },
  DEALER: { REP: "DEALER", ROUTER: "DEALER" },
  /** The address for publishers. */
  "PULL or ROUTER": { PUSH: "PULL", REQ: "ROUTER", DEALER: "ROUTER" },
} as const;

/** The type that is announced to a peer that does not send its READY before ours. */
const DEFAULT_ANNOUNCEMENTS = { PULL: "PULL", PUB: "PUB", DEALER: "DEALER", "PULL or ROUTER": "PULL" } as const;
/** The type that an error tells the operator to connect. */
const EXPECTED_TYPES = { PULL: "PUSH", PUB: "SUB", DEALER: "REP", "PULL or ROUTER": "PUSH, REQ or DEALER" } as const;

export type SocketType = keyof typeof ANNOUNCED_TYPES;

/** Whether the announced type depends on the peer. */
export const dependsOnPeer = (own: SocketType): boolean => own === "PULL or ROUTER";

export const defaultAnnouncement = (own: SocketType): string => DEFAULT_ANNOUNCEMENTS[own];

/** The type to announce to a peer of this type. Throws "invalid" if such a peer must not be connected. */
export function announcementFor(own: SocketType, peer: string): string {
  const types: Readonly<Record<string, string>> = ANNOUNCED_TYPES[own];
  if (Object.hasOwn(types, peer)) return types[peer] as string;
  const what = `a ${peer || "nameless"} socket is connected to the ${own} socket of m2push`;
  const fix = `connect a ${EXPECTED_TYPES[own]} socket, and check whether two addresses are swapped`;
  throw new ProtocolError("invalid", `${what}; fix: ${fix}`);
}
