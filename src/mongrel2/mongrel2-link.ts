/**
 * One end of a link to one Mongrel2: turns messages into requests and notices, and what the hub wants into frames. It knows
 * whether the link is live, and when a new life of Mongrel2 began. Long because it is one state machine.
 *
 *   lost  --Mongrel2 connects-->  probing  --a fence passes-->  live  --either socket disconnects-->  lost
 *
 * lost     No Mongrel2. What still comes in may be of the one that is gone: nobody can tell, so it is kept aside as doubtful,
 *          and told once the link is live: unless it is another Mongrel2, those connections are cancelled (a browser reconnects).
 * probing  Fences are sent until one comes back: a PUB socket that has just connected loses what is sent at once. Requests
 *          that come in are held, in order, and handed on when the link is live: an answer now could be lost. If a socket
 *          disconnects before that, they are doubtful, too.
 * live     Serving. Each time a link becomes live is a new epoch: a Mongrel2 that restarted counts ids from 1 again, so every
 *          id of an earlier epoch may by now be another person's connection.
 * leaving  Requests that Mongrel2 has handed over are still taken and answered, none comes after them (leave.ts). Nothing is sent
 *          that Mongrel2 answers: with no PULL socket to take the notice it would stand still.
 */

import type { Address, Outlet } from "../delivery/outlet.js";
import { ProtocolError } from "../errors.js";
import { CANCEL, CLOSE, extendedHead, KEEP_ALIVE, replyHead } from "../protocol/reply.js";
import { type Inbound, parseRequest, RequestError } from "../protocol/request.js";
import { type Cancel, type Clock, waitAtMost } from "../util/clock.js";
import type { Receiver, Transport } from "../zmq/transport.js";
import { Fences, isFence, NULL_CONNECTION_ID } from "./fences.js";
import { HeapWarmup } from "./heap-warmup.js";
import { IdentCheck } from "./ident-check.js";
import type { LinkEvents } from "./link-events.js";
import { LinkWatch } from "./link-watch.js";
import { FENCE_TIMEOUT_MS, stopReceiving, stopReceivingUnfenced } from "./stop-receiving.js";
import { StreamHeadBatcher } from "./stream-head-batcher.js";

/** Between two probes, milliseconds: soon after a peer connects (it is live after about 2.5 ms), then less often. */
const PROBE = { first: 2, factor: 2, last: 250 };
/** While leaving, how long Mongrel2 is given to write instead of a fence that says that it has, milliseconds: its burst, and some. */
const UNFENCED_DELAY_MS = 50;
const LOST_REASON = "the connection to Mongrel2 was lost";

interface PausedMessage {
  readonly id: number | undefined;
  readonly emit: () => void;
}

type LinkState =
  | { readonly name: "lost" }
  | { readonly name: "probing"; readonly paused: PausedMessage[] }
  | { readonly name: "live" }
  /** `isDrained`: no request that Mongrel2 has handed over is missing. */
  | { readonly name: "leaving"; isDrained: boolean }
  | { readonly name: "closed" };

export interface Mongrel2LinkOptions {
  /** Mongrel2's send_ident for us; Mongrel2's SUB filters our frames by it. */
  readonly sendIdent: string;
  readonly maxTargets: number;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly events: LinkEvents;
  /** A link on which nothing has answered for so long is connected again, milliseconds; 0 = never. */
  readonly linkTimeoutMs: number;
  /** A number from 0 up to 1. */
  readonly random: () => number;
  /** Whether a link on which fences pass may become live; absent = always. */
  readonly mayServe?: () => boolean;
}

export class Mongrel2Link implements Outlet, Receiver {
  readonly maxTargets: number;
  readonly #options: Mongrel2LinkOptions;
  readonly #fences: Fences;
  /** At the start there is no earlier Mongrel2 whose messages could be meant: everything is trusted. */
  #state: LinkState = { name: "probing", paused: [] };
  /** Connections whose requests came in while lost. */
  #untrusted: number[] = [];
  /**
   * Peers of our PULL socket. More than one only where we bind: a second may be a stranger, or Mongrel2 that is back before its
   * old connection has ended. Nobody can tell which of them leaves, so each leaving ends the epoch; who is left is then asked.
   */
  #pullPeers = 0;
  #cancelProbe: Cancel | undefined;
  readonly #watch: LinkWatch;
  /** What stands in for fences while leaving. */
  readonly #fenceSubstitutes: Cancel[] = [];
  #onLive: () => void = () => {};
  #wasConnected = false;
  readonly #identCheck: IdentCheck;
  readonly #streamHeads: StreamHeadBatcher;
  readonly #heapWarmup = new HeapWarmup((body) => this.deliver(this.address([NULL_CONNECTION_ID]), body));

  constructor(options: Mongrel2LinkOptions) {
    this.#options = options;
    this.maxTargets = options.maxTargets;
    const { transport, clock, sendIdent, events, random, linkTimeoutMs } = options;
    this.#fences = new Fences(clock.now(), random);
    this.#watch = new LinkWatch({
      clock,
      random,
      linkTimeoutMs,
      live: () => this.live,
      oldestPendingMs: (now) => this.#fences.oldestPendingMs(now),
      sendFence: () => this.#armFence(() => {}),
      sendPing: () => transport.ping(),
      silent: (milliseconds) => events.silent(milliseconds, this.live),
      answering: () => events.answering(),
      reconnect: () => {
        this.endEpoch(`nothing has answered for ${linkTimeoutMs / 1000} s`);
        transport.reconnect();
      },
    });
    this.#identCheck = new IdentCheck(sendIdent, (seen) => events.wrongIdent(seen));
    this.#streamHeads = new StreamHeadBatcher(this.maxTargets, clock, (ids, body) =>
      transport.send(this.address(ids), body),
    );
  }

  async start(): Promise<void> {
    this.#watch.start();
    await this.#options.transport.start(this);
    this.#probeFrom(PROBE.first);
  }

  /**
   * Takes no more requests, and hands on all that Mongrel2 has handed over. Answers may be sent until stop(), and nothing else to
   * connections that may have gone. Resolves, within three seconds, with whether it is certain that no request is missing.
   */
  async stopReceiving(): Promise<boolean> {
    await this.#untilLive();
    const last = this.#state;
    if (last.name === "closed") return false;
    const leaving: LinkState = { name: "leaving", isDrained: false };
    this.#state = leaving;
    this.#stopTimers();
    if (last.name === "probing") this.cancel(last.paused.flatMap(({ id }) => id ?? []));
    let isPassed = false;
    const fence = () =>
      this.#armFence(() => {
        isPassed = true;
      });
    const isDrained = await (last.name === "live"
      ? stopReceiving(this.#options, fence)
      : stopReceivingUnfenced(this.#options));
    leaving.isDrained = isDrained && isPassed;
    return leaving.isDrained;
  }

  /** Resolves with whether it is certain that no request is missing, and that Mongrel2 has taken everything sent. */
  async stop(): Promise<boolean> {
    const last = this.#state;
    this.#state = { name: "closed" };
    this.#stopTimers();
    for (const cancel of this.#fenceSubstitutes.splice(0)) cancel();
    this.#fences.clear();
    this.#streamHeads.flush();
    this.#streamHeads.drop();
    const isTaken = await this.#options.transport.close();
    return isTaken && last.name === "leaving" && last.isDrained;
  }

  #stopTimers(): void {
    this.#cancelProbe?.();
    this.#watch.stop();
  }

  async #untilLive(): Promise<void> {
    if (this.#state.name !== "probing") return;
    const live = new Promise<void>((resolve) => {
      this.#onLive = resolve;
    });
    await waitAtMost(this.#options.clock, FENCE_TIMEOUT_MS, live);
  }

  /** Whether Mongrel2 may ever have handed a request to us. */
  get wasConnected(): boolean {
    return this.#wasConnected;
  }

  /** Calls back once Mongrel2 has taken everything sent so far; never when the epoch ends before. */
  afterFence(passed: () => void): void {
    this.#armFence(() => passed());
  }

  /** Ends the epoch, for what is known from elsewhere. What still comes in is of the Mongrel2 of that epoch, until resume(). */
  endEpoch(why: string): void {
    this.#setLost(why, { name: "lost" });
  }

  /** From now on what comes in is of the Mongrel2 that is asked next. */
  resume(): void {
    if (this.#state.name !== "lost" || this.#pullPeers === 0) return;
    this.#state = { name: "probing", paused: [] };
    this.#probeFrom(PROBE.first);
  }

  get live(): boolean {
    return this.#state.name === "live";
  }

  // ---- Outlet: what leaves -------------------------------------------------------------------------------------------

  address(ids: readonly number[]): Address {
    return replyHead(this.#options.sendIdent, ids, this.maxTargets);
  }

  deliver(address: Address, body: Buffer): void {
    this.#send(address, body);
  }

  prepare(bytes: number): void {
    this.#heapWarmup.beforeFlush(bytes);
  }

  open(id: number, body: Buffer): void {
    this.#streamHeads.add(id, body);
  }

  close(ids: readonly number[]): void {
    this.#inChunks(ids, (some) => this.deliver(this.address(some), CLOSE));
  }

  cancel(ids: readonly number[]): void {
    this.#sendExtended(ids, CANCEL);
  }

  keepAlive(ids: readonly number[]): void {
    if (this.#state.name !== "leaving") this.#sendExtended(ids, KEEP_ALIVE);
  }

  fence(passed: () => void, isFlush = true): void {
    if (this.#state.name === "leaving") {
      this.#fenceSubstitutes.push(this.#options.clock.after(UNFENCED_DELAY_MS, passed));
      return;
    }
    this.#armFence((took) => {
      if (isFlush) this.#options.events.fencePassed(took);
      passed();
    });
  }

  // ---- Receiver: what comes in ---------------------------------------------------------------------------------------

  message(bytes: Buffer): void {
    const { events } = this.#options;
    try {
      this.#inbound(parseRequest(bytes));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#emit(error instanceof RequestError ? error.id : undefined, () => events.malformed(error));
    }
  }

  pong(): void {
    this.#watch.pong(this.#options.clock.monotonic());
  }

  protocolError(error: ProtocolError): void {
    this.#options.events.malformed(error);
  }

  connected(direction: "in" | "out"): void {
    this.#wasConnected = true;
    if (direction === "in") this.#pullPeers++;
    if (this.#state.name === "probing") this.#probeFrom(PROBE.first);
    else this.resume();
  }

  disconnected(direction: "in" | "out"): void {
    if (this.#state.name === "leaving") {
      if (direction === "out") this.#setLost(LOST_REASON, { name: "closed" });
      return;
    }
    if (direction === "in") this.#pullPeers = Math.max(0, this.#pullPeers - 1);
    this.endEpoch(LOST_REASON);
    this.resume();
  }

  #inbound(message: Inbound): void {
    if (message.kind === "disconnect" && isFence(message.id)) {
      this.#fenceNotice(message.id);
      return;
    }
    const { events } = this.#options;
    this.#identCheck.check(message.sender);
    this.#emit(message.id, () => events.inbound(message));
  }

  /** Now, later, or not at all: see the states above. */
  #emit(id: number | undefined, handle: () => void): void {
    const state = this.#state;
    if (state.name === "live" || state.name === "leaving") handle();
    else if (state.name === "probing") state.paused.push({ id, emit: handle });
    else if (state.name === "lost") this.#markUntrusted([{ id }]);
  }

  #markUntrusted(held: readonly Pick<PausedMessage, "id">[]): void {
    if (held.length === 0) return;
    this.#options.events.fromEarlierInstance(held.length);
    for (const { id } of held) if (id !== undefined) this.#untrusted.push(id);
  }

  // ---- The life of the link ------------------------------------------------------------------------------------------

  #setLost(why: string, next: LinkState): void {
    const last = this.#state;
    if (last.name === "closed") return;
    this.#state = next;
    if (last.name === "probing") this.#markUntrusted(last.paused);
    this.#fences.clear();
    this.#streamHeads.drop();
    this.#heapWarmup.reset();
    this.#watch.linkLost();
    if (last.name === "live" || last.name === "leaving") this.#options.events.lost(why);
  }

  #fenceNotice(id: number): void {
    const { clock, events, mayServe } = this.#options;
    const now = clock.monotonic();
    const waited = this.#watch.silentFor(now);
    if (!this.#fences.noticeReceived(id, now)) {
      if (this.live && this.#fences.isForeign(id)) this.#foreignNotice(id, now);
      return;
    }
    this.#watch.fencePassed(now);
    if (this.#state.name !== "probing" || mayServe?.() === false) return;
    const { paused: held } = this.#state;
    this.#state = { name: "live" };
    this.#cancelProbe?.();
    this.#fences.clear();
    events.live(waited, this.#untrusted.splice(0));
    this.#onLive();
    for (const { emit: handle } of held) handle();
  }

  #foreignNotice(id: number, now: number): void {
    this.#watch.foreignNotice(now);
    this.#options.events.foreignFence(this.#fences.isYounger(id));
  }

  #probeFrom(wait: number): void {
    this.#cancelProbe?.();
    const { clock } = this.#options;
    if (this.#state.name === "probing" || this.#state.name === "lost") {
      if (this.#state.name === "probing") this.#armFence(() => {});
      this.#cancelProbe = clock.after(wait, () => this.#probeFrom(Math.min(wait * PROBE.factor, PROBE.last)));
    }
  }

  /** Returns the fence's id. */
  #armFence(passed: (took: number) => void): number {
    const id = this.#fences.arm(this.#options.clock.monotonic(), passed);
    this.#sendExtended([id], KEEP_ALIVE);
    return id;
  }

  #sendExtended(ids: readonly number[], body: Buffer): void {
    const { sendIdent } = this.#options;
    this.#inChunks(ids, (some) => this.#send(extendedHead(sendIdent, some, this.maxTargets), body));
  }

  /** In the order in which it was handed over. */
  #send(head: Buffer, body: Buffer): void {
    this.#streamHeads.flush();
    this.#options.transport.send(head, body);
  }

  #inChunks(ids: readonly number[], send: (some: readonly number[]) => void): void {
    for (let from = 0; from < ids.length; from += this.maxTargets) send(ids.slice(from, from + this.maxTargets));
  }
}
