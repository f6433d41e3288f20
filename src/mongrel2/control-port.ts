/**
 * Client of Mongrel2's control port (docs/architecture/mongrel2.md 3) over one lasting connection. A check at intervals makes its loss
 * known before a restart needs it. The end of the connection is the surest sign that Mongrel2 has ended (instance-evidence.ts).
 */
import { M2pushError } from "../errors.js";
import type { NetRow } from "../protocol/control-protocol.js";
import type { Cancel, Clock } from "../util/clock.js";
import { RequestSession } from "../zmq/request-session.js";
import { ControlQueries } from "./control-queries.js";

/** Between two checks: the command `uuid` costs Mongrel2 some microseconds. */
const CHECK_INTERVAL_MS = 10_000;
/** How long the reply to a check may take, connecting included, before the port counts as unreachable. */
const CHECK_TIMEOUT_MS = 5000;
/** How long any other reply may take. */
const REPLY_TIMEOUT_MS = 2000;

interface ControlPortEvents {
  /** A connection is established. */
  connected(): void;
  /** The connection has ended. `isClosed`: Mongrel2 closed it, because it ended or got `control_stop`; else it was cut. */
  ended(isClosed: boolean): void;
  /** A check got its reply. */
  reachable(): void;
  /** A check got no reply. */
  unreachable(error: unknown): void;
}

interface ControlPortOptions {
  readonly spec: string;
  readonly clock: Clock;
  /**
   * A connection without a reply for so long is replaced, while `isMongrel2Answering`: a network has lost it. Else the connection is
   * kept, because it can prove later that Mongrel2 is the same. Milliseconds; 0 = never.
   */
  readonly linkTimeoutMs: number;
  readonly isMongrel2Answering: () => boolean;
  readonly events: ControlPortEvents;
}

export class ControlPort {
  readonly #options: ControlPortOptions;
  readonly #session: RequestSession;
  readonly #queries: ControlQueries;
  #cancelChecks: Cancel | undefined;
  #isChecking = false;
  #isClosed = false;
  /** When the last reply arrived, or waiting for it began; monotonic milliseconds. */
  #repliedAt: number;

  constructor(options: ControlPortOptions) {
    const { spec, clock, events } = options;
    this.#options = options;
    this.#repliedAt = clock.monotonic();
    this.#session = new RequestSession(spec, clock, {
      connected: () => {
        this.#repliedAt = clock.monotonic();
        events.connected();
      },
      ended: (isClosed) => {
        events.ended(isClosed);
        void this.#check();
      },
      replied: () => {
        this.#repliedAt = clock.monotonic();
      },
    });
    this.#queries = new ControlQueries({ request: async (request) => (await this.#request(request)).answer });
  }

  /** Rejects with "link_failed" if the address is invalid. */
  async start(): Promise<void> {
    await this.#session.start();
    this.#cancelChecks = this.#options.clock.every(CHECK_INTERVAL_MS, () => void this.#check());
    void this.#check();
  }

  /** Number of the present connection; undefined = there is none. */
  get session(): number | undefined {
    return this.#session.session;
  }

  /** See ControlQueries.connections(). */
  connections(): Promise<NetRow[]> {
    return this.#queries.connections();
  }

  /** Sends a request; resolves with the number of the connection that carried the reply, undefined without a reply. */
  async repliedSession(): Promise<number | undefined> {
    try {
      return (await this.#request(ControlQueries.UUID_REQUEST)).session;
    } catch (error) {
      if (error instanceof M2pushError) return undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelChecks?.();
    await this.#session.close();
  }

  #request(request: Buffer, timeoutMs = REPLY_TIMEOUT_MS) {
    return this.#session.request([request], timeoutMs);
  }

  async #check(): Promise<void> {
    if (this.#isChecking || this.#isClosed) return;
    this.#isChecking = true;
    const { events } = this.#options;
    try {
      await this.#request(ControlQueries.UUID_REQUEST, CHECK_TIMEOUT_MS);
      events.reachable();
    } catch (error) {
      if (!(error instanceof M2pushError)) throw error;
      if (!this.#isClosed) this.#checkFailed(error);
    } finally {
      this.#isChecking = false;
    }
  }

  #checkFailed(error: M2pushError): void {
    const { spec, clock, linkTimeoutMs, isMongrel2Answering, events } = this.#options;
    events.unreachable(error);
    const isLate = linkTimeoutMs > 0 && clock.monotonic() - this.#repliedAt >= linkTimeoutMs;
    if (!isLate || this.session === undefined || !spec.startsWith("tcp:") || !isMongrel2Answering()) return;
    this.#session.reconnect();
    events.ended(false);
  }
}
