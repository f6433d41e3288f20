/**
 * Decides whether the Mongrel2 of a live link is the process that the link was live with before. The link's own connections are no
 * evidence: a network, a proxy or a timeout of this daemon may have cut them. The control port's connection is: it ends with the
 * process at its other end, 0.7 ms after kill -9 (docs/architecture/mongrel2.md 2.7).
 *
 *   anchored   This connection is known to lead to the Mongrel2 of the link: a fence that was sent after it was established passed
 *              while it lasted.
 *   same       The anchored connection still answers.
 *   restarted  Mongrel2 closed the anchored connection, and a later one answers. (The command `control_stop` closes it as well, but no
 *              later one answers after it.)
 *   unknown    Anything else: no control port, the start of this process, two losses in a row.
 *
 * Connection ids are no evidence: a kept connection keeps its id.
 */
export type InstanceVerdict = "same" | "restarted" | "unknown";

interface InstanceOptions {
  readonly port: {
    readonly session: number | undefined;
    repliedSession(): Promise<number | undefined>;
  };
  /** Calls `passed` once Mongrel2 has taken everything sent before; never when the link is lost before that. */
  readonly afterFence: (passed: () => void) => void;
}

export class InstanceEvidence {
  readonly #options: InstanceOptions;
  #anchor: number | undefined;
  #isLive = false;
  /** Incremented when the link is lost: a reply of an earlier generation is void. */
  #generation = 0;
  #isDeciding = false;

  constructor(options: InstanceOptions) {
    this.#options = options;
  }

  /** The link is live. Resolves with the verdict on its Mongrel2; undefined when the link is lost before that. */
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

  /** The link is lost. `areClientsDecided`: no client of an earlier loss is left, to whom another verdict may apply. */
  linkLost(areClientsDecided: boolean): void {
    if (this.#isDeciding || !areClientsDecided) this.#anchor = undefined;
    this.#generation++;
    this.#isLive = false;
    this.#isDeciding = false;
  }

  /** A network or this daemon cut the connection: its end is no evidence. */
  connectionCut(): void {
    this.#anchor = undefined;
  }

  /** Anchors the present connection once a fence has passed, and then calls `anchored`. */
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
