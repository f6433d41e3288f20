/** What tests ask a real Mongrel2's control port. */
import { ControlQueries } from "../../src/mongrel2/control-queries.js";
import type { NetRow } from "../../src/protocol/control-protocol.js";
import { systemClock } from "../../src/util/clock.js";
import { requestOnce } from "../../src/zmq/request-session.js";

const REPLY_TIMEOUT_MS = 2000;

interface Server {
  readonly controlSpec: string;
}

/** Sends a command and resolves with the bytes of the reply. */
export const askControl = ({ controlSpec }: Server, command: Buffer): Promise<Buffer> =>
  requestOnce(controlSpec, command, REPLY_TIMEOUT_MS, systemClock);

/** The connections of a Mongrel2, by its own account. */
export const connectionsOf = (server: Server): Promise<NetRow[]> =>
  new ControlQueries({ request: (command) => askControl(server, command) }).connections();
