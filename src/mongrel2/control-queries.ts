/** Queries of Mongrel2's control port (docs/architecture/mongrel2.md 3). protocol/control-protocol.ts has the codec. */
import { decodeControlReply, encodeCommand, type NetRow, netRows } from "../protocol/control-protocol.js";

/** Sends one request and resolves with the bytes of the reply; rejects with "unavailable". */
interface ControlClient {
  request(bytes: Buffer): Promise<Buffer>;
}

export class ControlQueries {
  /** The cheapest command: asks for the uuid of the server. */
  static readonly UUID_REQUEST: Buffer = encodeCommand("uuid", {});
  readonly #client: ControlClient;

  constructor(client: ControlClient) {
    this.#client = client;
  }

  /**
   * All connections of the server, those of every handler and those without a handler (id -1). A row has about 45 bytes; 3,000
   * rows block Mongrel2 for 3 to 8 ms, so call this rarely.
   */
  async connections(): Promise<NetRow[]> {
    return netRows(decodeControlReply(await this.#client.request(encodeCommand("status", { what: "net" }))));
  }
}
