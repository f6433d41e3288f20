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
      while (held.length > 0) {
        const deliveredCount = held.length;
        await this.#options.inspect();
        const count = this.#takeHeld(held, deliveredCount);
        if (this.#isStopped) return;
        held.splice(0, count);
      }
      this.#held = undefined;
    } catch (error) {
      this.#fail(messageOf(error));
    }
  }

  /** Takes the first `deliveredCount` messages, and those that follow without another hole. Returns how many. */
  #takeHeld(held: readonly StreamMessage[], deliveredCount: number): number {
    let count = 0;
    for (const message of held) {
      if (this.#isStopped || (count >= deliveredCount && message.sequence > this.#options.last() + 1)) break;
      this.#heldBytes -= message.data.length;
      this.#options.take(message);
      count++;
    }
    return count;
  }

  #fail(why: string): void {
    if (this.#isStopped) return;
    this.stop();
    this.#options.failed(why);
  }
}
