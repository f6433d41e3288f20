/**
 * Whether the Mongrel2 that a link is live with is the one that it was live with before. A link's own connections cannot tell: they
 * may have been cut by a network, a proxy or a time-out of ours. The control port's connection can: it lasts as long as the process
 * at its other end, and ends with it (0.7 ms after kill -9, mongrel2.md "Restarts").
 *
 *   anchored   the connection of which is known that it is to the Mongrel2 of the link: a fence that was sent after it had begun
 *              has passed while it lasted
 *   same       the anchored connection still answers
 *   restarted  Mongrel2 has ended the anchored connection, and a later one answers. (The order `control_stop` ends it, too, but
 *              for ever: no later one answers.)
 *   unknown    anything else: no control port, the start of this process, two losses in a row
 *
 * Connection ids are no evidence: a kept connection keeps its id.
 */
export type InstanceVerdict = "same" | "restarted" | "unknown";

export interface InstanceOptions {
  readonly port: {
    readonly session: number | undefined;
    repliedSession(): Promise<number | undefined>;
  };
  /** Calls back once Mongrel2 has taken what was sent before; never when the link is lost before that. */
  readonly afterFence: (passed: () => void) => void;
}

export class InstanceEvidence {
  readonly #options: InstanceOptions;
  #anchor: number | undefined;
  #isLive = false;
  /** Counts losses: an answer that comes after one is void. */
  #generation = 0;
  #isDeciding = false;

  constructor(options: InstanceOptions) {
    this.#options = options;
  }

  /** The link is live. Resolves with what is known of its Mongrel2; undefined when it is lost again by then. */
  async linkLive(): Promise<InstanceVerdict | undefined> {
    const generation = this.#generation;
    this.#isLive = true;
    this.#isDeciding = true;
    const verdict = await this.#decide();
    if (generation !== this.#generation) return undefined;
    this.#isDeciding = false;
    this.anchor();
    return verdict;
  }

  /** The link is lost. `isSettled`: nobody was left over from an earlier loss, of whom something else may be true. */
  linkLost(areClientsDecided: boolean): void {
    if (this.#isDeciding || !areClientsDecided) this.#anchor = undefined;
    this.#generation++;
    this.#isLive = false;
    this.#isDeciding = false;
  }

  /** The connection was cut, by a network or by us: its end says nothing. */
  connectionCut(): void {
    this.#anchor = undefined;
  }

  /** Anchors the present connection, when a fence has passed. `anchored` is told then. */
  anchor(anchored: () => void = () => {}): void {
    const { port, afterFence } = this.#options;
    const { session } = port;
    if (!this.#isLive || this.#isDeciding || session === undefined) return;
    afterFence(() => {
      if (port.session !== session) return;
      this.#anchor = session;
      anchored();
    });
  }

  async #decide(): Promise<InstanceVerdict> {
    const anchor = this.#anchor;
    if (anchor === undefined) return "unknown";
    const answering = await this.#options.port.repliedSession();
    if (answering === undefined || this.#anchor === undefined) return "unknown";
    return answering === anchor ? "same" : "restarted";
  }
}
