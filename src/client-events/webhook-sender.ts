/**
 * Sends the events of one webhook, one request after the other, so that they arrive in order; events that happen meanwhile share the next
 * one. A request that fails is repeated until the receiver takes it:
 *
 *   idle  -- there is an event -->  sending  -- taken -->  idle
 *                                   sending  -- failed -->  waiting  -- backoff, Retry-After -->  sending
 *                                   sending  -- 410 Gone -->  disabled, until the configuration is loaded again
 */
import type { WebhookTable } from "../config/schema.js";
import { backoff } from "../util/backoff.js";
import { type Cancel, type Clock, waitAtMost } from "../util/clock.js";
import { conditionTexts } from "../util/condition-texts.js";
import type { Conditions } from "../util/conditions.js";
import { retryDelayMs } from "../util/retry-after.js";
import type { Post, PostResult } from "./post.js";
import { webhookHeaders } from "./standard-webhooks.js";
import type { Batch, WebhookQueue } from "./webhook-queue.js";

/** Between two attempts, shortened by up to a half. */
const FIRST_RETRY_DELAY_MS = 1000;
const MAX_RETRY_DELAY_MS = 60_000;
/** The longest Retry-After that counts. */
const MAX_RETRY_AFTER_MS = 3_600_000;
/** Failures in a row that are a condition. */
const REPORTED_FAILURE_COUNT = 3;
/** How long a stop waits for the request that is under way. */
const STOP_TIMEOUT_MS = 1000;
const MS_PER_SECOND = 1000;

type SenderState =
  | { readonly name: "idle" }
  | { readonly name: "sending"; readonly done: Promise<void> }
  | { readonly name: "waiting"; readonly cancel: Cancel }
  | { readonly name: "disabled" }
  | { readonly name: "closed" };

export interface WebhookSenderOptions {
  readonly queue: WebhookQueue;
  readonly post: Post;
  readonly clock: Clock;
  readonly conditions: Conditions;
  /** A number from 0 up to 1. */
  readonly random: () => number;
  /** A request was taken: something may be removed from the log. */
  readonly taken: () => void;
}

export interface SenderStatus {
  readonly state: SenderState["name"];
  /** Events that the receiver has taken since the process began; requests that have failed. */
  readonly sent: number;
  readonly failures: number;
}

export class WebhookSender {
  readonly #options: WebhookSenderOptions;
  readonly #backoff;
  /** Ends the request that is under way. */
  #abort = new AbortController();
  #table: WebhookTable;
  #state: SenderState = { name: "idle" };
  #sent = 0;
  #failures = 0;
  #failuresInARow = 0;

  constructor(table: WebhookTable, options: WebhookSenderOptions) {
    this.#table = table;
    this.#options = options;
    this.#backoff = backoff(FIRST_RETRY_DELAY_MS, MAX_RETRY_DELAY_MS, options.random);
  }

  get status(): SenderStatus {
    return { state: this.#state.name, sent: this.#sent, failures: this.#failures };
  }

  get isSending(): boolean {
    return this.#state.name === "sending";
  }

  /** Another URL or secret: a request that waits is sent at once, and a receiver that was gone is asked again. */
  configure(table: WebhookTable): void {
    this.#table = table;
    if (this.#state.name === "closed" || this.#state.name === "sending") return;
    this.#stopWaiting();
    this.#recovered();
    this.#state = { name: "idle" };
    this.send();
  }

  /** There may be events to send. */
  send(): void {
    if (this.#state.name !== "idle") return;
    const batch = this.#options.queue.next();
    if (batch === "later") setImmediate(() => this.send());
    else if (batch) this.#state = { name: "sending", done: this.#attempt(batch) };
  }

  /** What is not taken yet is sent by the next process. */
  async close(): Promise<void> {
    const state = this.#state;
    this.#stopWaiting();
    this.#state = { name: "closed" };
    if (state.name === "sending") await waitAtMost(this.#options.clock, STOP_TIMEOUT_MS, state.done);
    this.#abort.abort();
  }

  async #attempt(batch: Batch): Promise<void> {
    const { clock, post } = this.#options;
    const { url = "", secret, previous_secret: previous, timeout: timeoutMs } = this.#table;
    const { id, body } = batch;
    const headers = webhookHeaders({ id, body, secrets: [secret, previous], time: clock.now() });
    const abort = new AbortController();
    this.#abort = abort;
    const noResponse = new Error(`no response within ${timeoutMs / MS_PER_SECOND} s`);
    const cancel = clock.after(timeoutMs, () => abort.abort(noResponse));
    const result = await post({ url, headers, body, signal: abort.signal });
    cancel();
    this.#ended(batch, result);
  }

  #ended(batch: Batch, result: PostResult): void {
    if (result.outcome === "taken") this.#taken(batch);
    else if (this.#state.name === "closed") return;
    else if (result.outcome === "gone") this.#gone();
    else this.#failed(result);
  }

  #taken(batch: Batch): void {
    const { queue, taken } = this.#options;
    queue.acknowledge(batch);
    this.#sent += batch.events;
    this.#recovered();
    taken();
    if (this.#state.name === "closed") return;
    this.#state = { name: "idle" };
    setImmediate(() => this.send());
  }

  #failed({ reason, retryAfter }: Extract<PostResult, { outcome: "failed" }>): void {
    const { clock } = this.#options;
    this.#failures++;
    this.#failuresInARow++;
    if (this.#failuresInARow >= REPORTED_FAILURE_COUNT) this.#report(conditionTexts.webhookFailing(reason));
    const delayMs = Math.max(this.#backoff.next(), Math.min(retryDelayMs(retryAfter, clock.now()), MAX_RETRY_AFTER_MS));
    const cancel = clock.after(delayMs, () => {
      this.#state = { name: "idle" };
      this.send();
    });
    this.#state = { name: "waiting", cancel };
  }

  #gone(): void {
    this.#failures++;
    this.#options.conditions.end("webhook_failing", this.#table.name);
    this.#report(conditionTexts.webhookGone());
    this.#state = { name: "disabled" };
  }

  #report(texts: { readonly message: string; readonly fix: string }): void {
    const { conditions, queue } = this.#options;
    const details = { pending: queue.pending };
    conditions.begin({ code: "webhook_failing", subject: this.#table.name, ...texts, details });
  }

  #recovered(): void {
    this.#failuresInARow = 0;
    this.#backoff.reset();
    this.#options.conditions.end("webhook_failing", this.#table.name);
  }

  #stopWaiting(): void {
    if (this.#state.name === "waiting") this.#state.cancel();
  }
}
