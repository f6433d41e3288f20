/** The request records of all servers: one for each, made at its first use. */
import type { Clock } from "../../util/clock.js";
import { FileRequestRecord, type RequestRecordOptions } from "./file-request-record.js";

/**
 * From the commit of a client until its response head has surely been sent: the heads of streams that open together share a message
 * (mongrel2/stream-head-batcher.ts). After a kill in between, the next process would continue a stream that never began.
 */
const HEAD_SENT_MS = 50;

export class RequestRecords {
  readonly #clock: Clock;
  readonly #optionsOf: (server: string) => RequestRecordOptions;
  readonly #records = new Map<string, FileRequestRecord>();

  constructor(clock: Clock, optionsOf: (server: string) => RequestRecordOptions) {
    this.#clock = clock;
    this.#optionsOf = optionsOf;
  }

  of(server: string): FileRequestRecord {
    const known = this.#records.get(server);
    if (known) return known;
    const record = new FileRequestRecord(this.#optionsOf(server));
    this.#records.set(server, record);
    return record;
  }

  /** These clients are on disk: the requests of new ones count as answered once their response heads have been sent. */
  clientsWritten(server: string, ids: Iterable<number>): void {
    const record = this.of(server);
    const opened = record.unansweredOf(ids);
    if (opened.length > 0) this.#clock.after(HEAD_SENT_MS, () => record.recorded(opened));
  }

  [Symbol.iterator](): Iterator<FileRequestRecord> {
    return this.#records.values();
  }
}
