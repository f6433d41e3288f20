/** Mongrel2's control port: what connections it has. See protocol/control for the words. */
import { decodeControlReply, encodeCommand, type NetRow, netRows } from "../protocol/control-protocol.js";

/** Asks one question and resolves with the answer's bytes; rejects with "unavailable". */
export interface ControlClient {
  request(question: Buffer): Promise<Buffer>;
}

export class ControlQueries {
  /** The cheapest question: which server of the configuration it is. */
  static readonly UUID_REQUEST: Buffer = encodeCommand("uuid", {});
  readonly #client: ControlClient;

  constructor(asker: ControlClient) {
    this.#client = asker;
  }

  /**
   * All connections of the server, of every handler and of none (id -1). About 45 bytes a row; 3000 rows hold Mongrel2 up for
   * 3 to 8 ms, so this is for rare moments.
   */
  async connections(): Promise<NetRow[]> {
    return netRows(decodeControlReply(await this.#client.request(encodeCommand("status", { what: "net" }))));
  }
}
