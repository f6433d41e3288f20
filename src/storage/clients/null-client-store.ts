/** A client store without files, for a folder that cannot be written: the next process finds no clients. */
import type { ClientStore } from "../../delivery/client-store.js";
import type { Clock } from "../../util/clock.js";
import { FileRequestRecord } from "./file-request-record.js";

export function nullClientStore(clock: Clock): ClientStore {
  const records = new Map<string, FileRequestRecord>();
  const requests = (server: string): FileRequestRecord => {
    const known = records.get(server);
    if (known) return known;
    const record = new FileRequestRecord({
      folder: undefined,
      server,
      boot: "",
      monotonic: () => clock.monotonic(),
      cleanStop: false,
      onWrite() {},
    });
    records.set(server, record);
    return record;
  };
  return {
    previousClients: () => ({ clients: [], aliveAt: 0, cleanStop: false, isMissing: true }),
    requests,
    put: (server, { id }) => requests(server).recorded([id]),
    remove: (server, id) => requests(server).recorded([id]),
    // No other process continues these streams.
    written: () => Promise.resolve(),
    fenced() {},
    markTrusted() {},
    markUntrusted() {},
    stoppedCleanly() {},
    renew() {},
    async close() {},
  };
}
