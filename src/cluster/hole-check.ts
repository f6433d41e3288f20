/**
 * Tells messages that were erased one by one from those that the stream has trimmed. Behind a missing sequence messages are held back until
 * the stream was inspected: what is missing above its oldest message was erased, and nobody needs to be told.
 */
import { messageOf } from "../errors.js";
import type { StreamMessage } from "./stream-session.js";

export interface HoleCheckOptions {
  /** The last sequence that was taken. */
  readonly last: () => number;
  readonly take: (message: StreamMessage) => void;
  /** Resolves when it is known what the stream has trimmed. */
  readonly inspect: () => Promise<void>;
  /** Called once where that cannot be known; no message is taken afterwards. */
  readonly failed: (why: string) => void;
}

/** Bytes of the messages that are held back. */
const MAX_HELD_BYTES = 64_000_000;

export class HoleCheck {
  readonly #options: HoleCheckOptions;
  /** Undefined = no check is under way. */
  #held: StreamMessage[] | undefined;
  #heldBytes = 0;
  #isStopped = false;

  constructor(options: HoleCheckOptions) {
    this.#options = options;
  }

  take(message: StreamMessage): void {
    if (this.#isStopped) return;
    if (this.#held === undefined && message.sequence <= this.#options.last() + 1) {
      this.#options.take(message);
      return;
    }
    this.#heldBytes += message.data.length;
    if (this.#heldBytes > MAX_HELD_BYTES) this.#fail("too many messages wait for an inspection of the stream");
    else if (this.#held) this.#held.push(message);
    else {
      this.#held = [message];
      void this.#check(this.#held);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#held = undefined;
  }

  /** An inspection tells of the holes before the messages that were delivered before it. Never rejects. */
  async #check(held: StreamMessage[]): Promise<void> {
    try {
      for (let at = 0; at < held.length; ) {
        const count = held.length;
        await this.#options.inspect();
        for (; at < held.length; at++) {
          const message = held[at] as StreamMessage;
          if (this.#isStopped || (at >= count && message.sequence > this.#options.last() + 1)) break;
          this.#options.take(message);
        }
        if (this.#isStopped) return;
      }
      this.#held = undefined;
      this.#heldBytes = 0;
    } catch (error) {
      this.#fail(messageOf(error));
    }
  }

  #fail(why: string): void {
    if (this.#isStopped) return;
    this.stop();
    this.#options.failed(why);
  }
}
