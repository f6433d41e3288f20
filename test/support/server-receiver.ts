/** What a socket for publishers tells, for tests that only want the messages. */
import type { ServerReceiver } from "../../src/zmq/native-server.js";

/** `take`: each message; false = it was of no use. `told`: everything that goes wrong. */
export function serverReceiver(
  take: (parts: Buffer[]) => unknown,
  told: (error: Error) => void = () => {},
): ServerReceiver {
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
