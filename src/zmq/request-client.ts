/**
 * One question, one answer, with a deadline: a DEALER socket that speaks to a REP (an empty frame stands before each
 * message). A REQ socket would lock up for ever at the first answer that does not come.
 */
import { Dealer } from "zeromq";
import { M2pushError } from "../errors.js";
import { endpointError } from "./transport-error.js";

export class RequestClient {
  readonly #spec: string;
  readonly #timeoutMs: number;

  /** `timeout`: milliseconds for the peer to connect, take the question and answer. */
  constructor(spec: string, timeout: number) {
    this.#spec = spec;
    this.#timeoutMs = timeout;
  }

  /**
   * Sends a question and resolves with its answer; rejects with "unavailable" when none comes in time. A socket for each
   * question: an answer that comes too late has nowhere to go and can never be taken for that of the next.
   */
  async request(question: Buffer): Promise<Buffer> {
    const socket = new Dealer({ linger: 0, sendTimeout: this.#timeoutMs, receiveTimeout: this.#timeoutMs });
    try {
      this.#connect(socket);
      await socket.send([Buffer.alloc(0), question]);
      const parts = await socket.receive();
      return parts.at(-1) ?? Buffer.alloc(0);
    } catch (cause) {
      if (cause instanceof M2pushError) throw cause;
      throw new M2pushError("unavailable", `no answer at ${this.#spec} within ${this.#timeoutMs} ms`, { cause });
    } finally {
      socket.close();
    }
  }

  #connect(socket: Dealer): void {
    try {
      socket.connect(this.#spec);
    } catch (cause) {
      throw endpointError(this.#spec, false, cause);
    }
  }
}
