/**
 * The link to one Mongrel2: turns received messages into requests and notices, and the hub's calls into frames. Long because it is one
 * state machine.
 *
 *   lost  --Mongrel2 connects-->  probing  --a fence passes-->  live  --either socket disconnects-->  lost
 *
 * lost     No connection. Requests that still arrive may come from a Mongrel2 process that has ended, so they are untrusted. Once the link
 *          is live their connections are cancelled, unless Mongrel2 has restarted; their browsers reconnect.
 * probing  The link sends fences until one passes: a PUB socket loses what it sends right after connecting
 *          (docs/architecture/mongrel2.md 2.2). Requests are paused, in order, and emitted once the link is live, because a response
 *          could be lost before. If a socket disconnects before that, the paused requests are untrusted.
 * live     Serving. Each time the link becomes live a generation begins: a restarted Mongrel2 counts ids from 1 again, so an id of an
 *          earlier generation may belong to another client (docs/architecture/mongrel2.md 2.7).
 * leaving  Requests that Mongrel2 has delivered are still emitted and answered; no request arrives after them (stop-receiving.ts). Nothing
 *          is sent that returns a notice: without a PULL socket it would block Mongrel2's output (docs/architecture/mongrel2.md 2.8).
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

/** Between two probes: the first right after a peer connects (a fence then passes after about 2.5 ms), later ones less often. */
const FIRST_PROBE_DELAY_MS = 2;
const MAX_PROBE_DELAY_MS = 250;
/** While leaving no fence may be sent: Mongrel2 gets so long to write instead, its burst (stop-receiving.ts) and a margin. */
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
  /** `isDrained`: every request that Mongrel2 has delivered was emitted. */
  | { readonly name: "leaving"; isDrained: boolean }
  | { readonly name: "closed" };

interface Mongrel2LinkOptions {
  /** Mongrel2's send_ident for this handler; its SUB socket filters frames by it. */
  readonly sendIdent: string;
  readonly maxTargets: number;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly events: LinkEvents;
  /** The link reconnects when nothing has answered for so long, milliseconds; 0 = never. */
  readonly linkTimeoutMs: number;
  /** Returns a number from 0 up to 1. */
  readonly random: () => number;
  /** Whether a link on which fences pass may become live; absent = always. */
  readonly mayServe?: () => boolean;
}

export class Mongrel2Link implements Outlet, Receiver {
  readonly maxTargets: number;
  readonly #options: Mongrel2LinkOptions;
  readonly #fences: Fences;
  /** At the start no earlier Mongrel2 process can have sent messages: all are trusted. */
  #state: LinkState = { name: "probing", paused: [] };
  /** Connections whose requests arrived while the link was lost. */
  #untrusted: number[] = [];
  /**
   * Number of peers of the PULL socket. More than one only if it is bound: a second one may be foreign, or a Mongrel2 that is back before
   * its old connection has ended. Which of them disconnects is unknown, so each disconnect ends the generation; the link then probes
   * those that are left.
   */
  #pullPeers = 0;
  #cancelProbe: Cancel | undefined;
  readonly #watch: LinkWatch;
  /** Timers that replace fences while leaving. */
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
      isLive: () => this.live,
      oldestPendingMs: (now) => this.#fences.oldestPendingMs(now),
      sendFence: () => this.#armFence(() => {}),
      sendPing: () => transport.ping(),
      silent: (milliseconds) => events.silent(milliseconds, this.live),
      answering: () => events.answering(),
      reconnect: () => {
        this.endGeneration(`nothing has answered for ${linkTimeoutMs / 1000} s`);
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
    this.#probeFrom(FIRST_PROBE_DELAY_MS);
  }

  /**
   * Receives no further requests, and emits all that Mongrel2 has delivered. Until stop() responses may be sent, and nothing else to
   * connections that may have gone. Resolves within three seconds; true = certainly no request is missing.
   */
  async stopReceiving(): Promise<boolean> {
    await this.#untilLive();
    const state = this.#state;
    if (state.name === "closed") return false;
    const leaving: LinkState = { name: "leaving", isDrained: false };
    this.#state = leaving;
    this.#stopTimers();
    if (state.name === "probing") this.cancel(state.paused.flatMap(({ id }) => id ?? []));
    let isPassed = false;
    const fence = () =>
      this.#armFence(() => {
        isPassed = true;
      });
    const isDrained = await (state.name === "live"
      ? stopReceiving(this.#options, fence)
      : stopReceivingUnfenced(this.#options));
    leaving.isDrained = isDrained && isPassed;
    return leaving.isDrained;
  }

  /** Resolves with true if certainly no request is missing and Mongrel2 has taken everything sent. */
  async stop(): Promise<boolean> {
    const state = this.#state;
    this.#state = { name: "closed" };
    this.#stopTimers();
    for (const cancel of this.#fenceSubstitutes.splice(0)) cancel();
    this.#fences.clear();
    this.#streamHeads.flush();
    this.#streamHeads.drop();
    const isTaken = await this.#options.transport.close();
    return isTaken && state.name === "leaving" && state.isDrained;
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

  /** Whether Mongrel2 may have delivered a request to this process. */
  get wasConnected(): boolean {
    return this.#wasConnected;
  }

  /** Calls `passed` once Mongrel2 has taken everything sent so far; never when the generation ends before. */
  afterFence(passed: () => void): void {
    this.#armFence(() => passed());
  }

  /** Ends the generation on other evidence. Messages until resume() are those of its Mongrel2. */
  endGeneration(reason: string): void {
    this.#setLost(reason, { name: "lost" });
  }

  /** Probes again after endGeneration(): messages from now on come from the next Mongrel2. */
  resume(): void {
    if (this.#state.name !== "lost" || this.#pullPeers === 0) return;
    this.#state = { name: "probing", paused: [] };
    this.#probeFrom(FIRST_PROBE_DELAY_MS);
  }

  get live(): boolean {
    return this.#state.name === "live";
  }

  // ---- Outlet: sending -----------------------------------------------------------------------------------------------

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
    this.#inChunks(ids, (chunk) => this.deliver(this.address(chunk), CLOSE));
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
    this.#armFence((roundTripMs) => {
      if (isFlush) this.#options.events.fencePassed(roundTripMs);
      passed();
    });
  }

  // ---- Receiver: receiving -------------------------------------------------------------------------------------------

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
    if (this.#state.name === "probing") this.#probeFrom(FIRST_PROBE_DELAY_MS);
    else this.resume();
  }

  disconnected(direction: "in" | "out"): void {
    if (this.#state.name === "leaving") {
      if (direction === "out") this.#setLost(LOST_REASON, { name: "closed" });
      return;
    }
    if (direction === "in") this.#pullPeers = Math.max(0, this.#pullPeers - 1);
    this.endGeneration(LOST_REASON);
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

  /** Emits a message now, later, or not at all: see the states above. */
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

  // ---- State ---------------------------------------------------------------------------------------------------------

  #setLost(reason: string, next: LinkState): void {
    const state = this.#state;
    if (state.name === "closed") return;
    this.#state = next;
    if (state.name === "probing") this.#markUntrusted(state.paused);
    this.#fences.clear();
    this.#streamHeads.drop();
    this.#heapWarmup.reset();
    this.#watch.linkLost();
    if (state.name === "live" || state.name === "leaving") this.#options.events.lost(reason);
  }

  #fenceNotice(id: number): void {
    const { clock, events, mayServe } = this.#options;
    const now = clock.monotonic();
    const waitedMs = this.#watch.silentFor(now);
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
    events.live(waitedMs, this.#untrusted.splice(0));
    this.#onLive();
    for (const { emit: handle } of held) handle();
  }

  #foreignNotice(id: number, now: number): void {
    this.#watch.foreignNotice(now);
    this.#options.events.foreignFence(this.#fences.isYounger(id));
  }

  #probeFrom(delayMs: number): void {
    this.#cancelProbe?.();
    const { clock } = this.#options;
    if (this.#state.name === "probing" || this.#state.name === "lost") {
      if (this.#state.name === "probing") this.#armFence(() => {});
      this.#cancelProbe = clock.after(delayMs, () => this.#probeFrom(Math.min(delayMs * 2, MAX_PROBE_DELAY_MS)));
    }
  }

  /** Returns the fence's id. */
  #armFence(passed: (roundTripMs: number) => void): number {
    const id = this.#fences.arm(this.#options.clock.monotonic(), passed);
    this.#sendExtended([id], KEEP_ALIVE);
    return id;
  }

  #sendExtended(ids: readonly number[], body: Buffer): void {
    const { sendIdent } = this.#options;
    this.#inChunks(ids, (chunk) => this.#send(extendedHead(sendIdent, chunk, this.maxTargets), body));
  }

  /** Keeps the order of the calls: stream heads that wait leave first. */
  #send(head: Buffer, body: Buffer): void {
    this.#streamHeads.flush();
    this.#options.transport.send(head, body);
  }

  #inChunks(ids: readonly number[], send: (chunk: readonly number[]) => void): void {
    for (let from = 0; from < ids.length; from += this.maxTargets) send(ids.slice(from, from + this.maxTargets));
  }
}
