/** What a socket for publishers tells, for tests that only want the messages. */
import type { PullReceiver } from "../../src/zmq/pull-server.js";

/** `take`: each message; false = it was of no use. `told`: everything that goes wrong. */
export function pullReceiver(
  take: (parts: Buffer[]) => unknown,
  told: (error: Error) => void = () => {},
): PullReceiver {
  return {
    message: (parts) => take(parts) !== false,
    request: (parts, reply) => {
      take(parts);
      reply(Buffer.from("taken"));
    },
    refused: told,
    failed: told,
    recovered() {},
    broken: told,
  };
}
