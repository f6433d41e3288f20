/** The clients of `m2push load`: EventSource connections that are opened at a rate, kept open, and count what they receive. */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Clock } from "../../util/clock.js";
import { isLoopback } from "../../util/loopback.js";
import { EventCounter } from "./event-counter.js";

/** Attempts without a response at a time: what a listening socket of Mongrel2 or a proxy can queue. */
const MAX_ATTEMPT_COUNT = 250;
const TICK_MS = 10;
const OPEN_TIMEOUT_MS = 30_000;
/** An address has about 28,000 ports for connections to one server. On the loopback further clients use 127.0.0.2 and so on. */
const CLIENTS_PER_ADDRESS_COUNT = 20_000;
const MS_PER_SECOND = 1000;

export interface LoadClientsOptions {
  readonly url: URL;
  readonly count: number;
  /** Connects per second. */
  readonly rate: number;
  readonly token: string | undefined;
  /** Of the published events. */
  readonly run: string;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** An event that this run has published has arrived; `sentAt`: microseconds. */
  readonly received: (sentAt: number) => void;
}

export interface ClientCounts {
  opened: number;
  failed: number;
  /** Why the first of them failed. */
  firstFailure: string;
  /** Closed by the hub or on the way, after they were open. */
  cut: number;
  /** Events of this run, each counted once for each client. */
  delivered: number;
  /** Events of this run that a client received again, or after a later one. */
  repeated: number;
  /** Of other publishers. */
  otherEvents: number;
  gaps: number;
  bytes: number;
}

export class LoadClients {
  readonly counts: ClientCounts = {
    ...{ opened: 0, failed: 0, firstFailure: "", cut: 0, delivered: 0, repeated: 0, otherEvents: 0, gaps: 0, bytes: 0 },
  };
  readonly #options: LoadClientsOptions;
  readonly #ends: (() => void)[] = [];
  #isClosing = false;
  #startedCount = 0;

  constructor(options: LoadClientsOptions) {
    this.#options = options;
  }

  /** Resolves when each client is open or has failed, or the signal is aborted. */
  async openAll(): Promise<void> {
    const { count, rate, signal, clock } = this.#options;
    const began = clock.monotonic();
    for (;;) {
      const due = Math.min(count, Math.floor(((clock.monotonic() - began) * rate) / MS_PER_SECOND) + 1);
      while (this.#startedCount < due && this.#attemptCount < MAX_ATTEMPT_COUNT) this.#open(this.#startedCount++);
      const isDone = this.#startedCount === count && this.#attemptCount === 0;
      if (isDone || signal.aborted) return;
      await new Promise<void>((resolve) => clock.after(TICK_MS, resolve));
    }
  }

  close(): void {
    this.#isClosing = true;
    for (const end of this.#ends) end();
  }

  get #attemptCount(): number {
    return this.#startedCount - this.counts.opened - this.counts.failed;
  }

  #open(index: number): void {
    const { url, token } = this.#options;
    const headers = { accept: "text/event-stream", ...(token !== undefined && { authorization: `Bearer ${token}` }) };
    const from = sourceAddress(url.hostname, index);
    const options: RequestOptions = { agent: false, headers, timeout: OPEN_TIMEOUT_MS, ...from };
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options);
    let isPending = true;
    const fail = (reason: string) => {
      if (isPending && this.counts.failed++ === 0) this.counts.firstFailure = reason;
      isPending = false;
      request.destroy();
    };
    request.on("timeout", () => fail(`no response within ${OPEN_TIMEOUT_MS / MS_PER_SECOND} s`));
    request.on("error", (error) => fail(error.message));
    request.once("response", (response) => {
      const { statusCode, headers: head } = response;
      const isStream = statusCode === 200 && head["content-type"]?.startsWith("text/event-stream");
      if (!isStream) return fail(`status ${statusCode}`);
      isPending = false;
      response.socket.setTimeout(0);
      this.counts.opened++;
      this.#read(response);
    });
    request.end();
    this.#ends.push(() => request.destroy());
  }

  #read(response: IncomingMessage): void {
    const { counts } = this;
    const { run, received } = this.#options;
    let newest = -1;
    const counter = new EventCounter(run, {
      event(sequence, sentAt) {
        if (Number.isNaN(sequence)) counts.otherEvents++;
        else if (sequence <= newest) counts.repeated++;
        else {
          newest = sequence;
          counts.delivered++;
          received(sentAt);
        }
      },
      gap: () => counts.gaps++,
    });
    response.on("data", (bytes: Buffer) => {
      counts.bytes += bytes.length;
      counter.push(bytes);
    });
    response.on("error", () => {}); // "close" follows
    response.once("close", () => {
      if (!this.#isClosing) counts.cut++;
    });
  }
}

function sourceAddress(host: string, index: number): Pick<RequestOptions, "localAddress"> {
  const block = Math.floor(index / CLIENTS_PER_ADDRESS_COUNT);
  const isLocal = host === "localhost" || (isLoopback(host) && !host.includes(":"));
  return block > 0 && isLocal ? { localAddress: `127.0.0.${1 + block}` } : {};
}
