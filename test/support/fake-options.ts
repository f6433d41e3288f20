/** How the fake Mongrel2 may be set up. */
import type { HeaderProtocol } from "./mongrel2-messages.js";

export interface FakeOptions {
  /** How headers are sent; absent = "json", as in Mongrel2. */
  readonly protocol?: HeaderProtocol;
  readonly sendIdent?: string;
  /** Prefix of the frames that are taken; absent = sendIdent and one space. */
  readonly recvIdent?: string;
  /** limits.handler_targets; absent = 128. */
  readonly maxTargets?: number;
  /** download.flow_control. */
  readonly flowControl?: boolean;
  /**
   * How long no frame must be ready before the connections are written, milliseconds; absent = 0. The real one answers a
   * fence and looks for the next frame in the same breath: when the handler's answer is there by then (seen on machines
   * with few cores, 17 times in a row), it has not yielded, and what waited before the fence still waits.
   */
  readonly yieldAfterMs?: number;
  /** The bug of 1.12: after a malformed X frame the next frame is taken for an X frame, too. Absent = true. */
  readonly stickyExtended?: boolean;
}
