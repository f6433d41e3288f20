/** The subscriptions of one SUB peer (ZMTP 3.0): prefixes of the messages that it gets. */

/** The largest subscription of a peer. */
export const MAX_SUBSCRIPTION_BYTES = 1000;
/** The largest number of subscriptions of a peer. */
const MAX_SUBSCRIPTION_COUNT = 1000;
/** First byte of a message of a SUB socket: 1 = subscribe, 0 = unsubscribe. */
const SUBSCRIBE_CODE = 1;

export class Subscriptions {
  readonly #prefixes: Buffer[] = [];

  get count(): number {
    return this.#prefixes.length;
  }

  /** Whether the peer gets messages that begin with these bytes. */
  select(start: Buffer): boolean {
    return this.#prefixes.some((prefix) => startsWith(start, prefix));
  }

  /** Applies a message of the peer. Returns whether anything changed. */
  change(message: Buffer): boolean {
    // A copy, so that it does not retain the memory of the whole read.
    const prefix = Buffer.from(message.subarray(1));
    if (message[0] === SUBSCRIBE_CODE) {
      if (this.count >= MAX_SUBSCRIPTION_COUNT) return false;
      this.#prefixes.push(prefix);
      return true;
    }
    const at = this.#prefixes.findIndex((it) => it.equals(prefix));
    if (at >= 0) this.#prefixes.splice(at, 1);
    return at >= 0;
  }
}

function startsWith(message: Buffer, prefix: Buffer): boolean {
  return message.length >= prefix.length && message.compare(prefix, 0, prefix.length, 0, prefix.length) === 0;
}
