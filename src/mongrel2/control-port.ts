/**
 * Mongrel2's control port over one lasting connection. It is asked now and then while all is well, so that its loss is known before
 * a restart needs it; and the connection's own end is the surest sign that Mongrel2 has ended (instance-evidence.ts).
 */
import { M2pushError } from "../errors.js";
import type { NetRow } from "../protocol/control-protocol.js";
import type { Cancel, Clock } from "../util/clock.js";
import { RequestSession } from "../zmq/request-session.js";
import { ControlQueries } from "./control-queries.js";

/** Between two questions while all is well, milliseconds: `uuid` costs Mongrel2 some microseconds. */
const CHECK_INTERVAL_MS = 10_000;
/** How long the answer to such a question may take, with the connection, before the port counts as unreachable. */
const CHECK_TIMEOUT_MS = 5000;
/** How long any other answer may take, milliseconds. */
const REPLY_TIMEOUT_MS = 2000;

export interface ControlPortEvents {
  /** There is a connection. */
  connected(): void;
  /** The connection has ended. `isClosed`: by Mongrel2, which has ended itself, or was told `control_stop`; else it was cut. */
  ended(isClosed: boolean): void;
  /** A check has got its answer. */
  reachable(): void;
  /** A check has got none. */
  unreachable(error: unknown): void;
}

export interface ControlPortOptions {
  readonly spec: string;
  readonly clock: Clock;
  /**
   * A connection over which nothing was answered for so long is cut and made again, while `isMongrel2Answering`: a network has
   * lost it. Else it is kept, as what shows later that it is the same Mongrel2. 0 = never.
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
  /** When something was answered last, or waiting for it began: monotonic. */
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
    this.#queries = new ControlQueries({ request: async (question) => (await this.#request(question)).answer });
  }

  /** Rejects with "link_failed" where the address is none. */
  async start(): Promise<void> {
    await this.#session.start();
    this.#cancelChecks = this.#options.clock.every(CHECK_INTERVAL_MS, () => void this.#check());
    void this.#check();
  }

  /** The number of the present connection; undefined = there is none. */
  get session(): number | undefined {
    return this.#session.session;
  }

  /** All connections of Mongrel2: see Control. */
  connections(): Promise<NetRow[]> {
    return this.#queries.connections();
  }

  /** The number of the connection over which a question was answered just now; undefined when none was. */
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

  #request(question: Buffer, timeoutMs = REPLY_TIMEOUT_MS) {
    return this.#session.request(question, timeoutMs);
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
