/** A client store that remembers nothing: with history in memory only, there is nothing a next process could go on from. */
import type { ClientStore } from "../hub/ports.js";

export const forgetful: ClientStore = {
  legacy: () => ({ clients: [], aliveAt: 0, cleanStop: false }),
  put() {},
  remove() {},
  fenced() {},
  vouch() {},
  doubt() {},
  stoppedCleanly() {},
  renew() {},
  async close() {},
};
