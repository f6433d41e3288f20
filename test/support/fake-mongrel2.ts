/**
 * A fake Mongrel2 in the test's own process, on real ZeroMQ sockets. It keeps the rules that a handler can break
 * (mongrel2.md 1.4, 2.1-2.7), and counts, so that a test can see how close the daemon came to each of them:
 *
 * - It reads its SUB socket without yielding while frames are ready; only then are the queues of the connections written.
 *   Until then at most 16 messages wait for one connection: the 17th destroys it, and nobody is told.
 * - With flow control at most 102,400 bytes wait instead, and each write comes back as a credits notice.
 * - A frame for more than 128 connections, or malformed in any way, is skipped. (The real one also sleeps for up to 500 ms.)
 * - Whatever is sent to a dead id comes back as a disconnect notice, one per id and frame, in order; cancel alone does not.
 * - An empty body closes after what is queued, without a notice, and needs a place in the queue; cancel closes at once.
 * - While the handler does not take its notices, no frame is read.
 * - A restart begins again with id 1.
 *
 * Stricter than the real one in one point: there a message that is being written no longer counts as waiting.
 */
import { decodeReply } from "../../src/protocol/reply.js";
import { Changes, type Look } from "./deadline.js";
import { type Ending, FakeClient, type Owner } from "./fake-client.js";
import { type Control, parseControl } from "./fake-control.js";
import { Counters } from "./fake-counters.js";
import type { FakeOptions } from "./fake-options.js";
import { FakeSockets } from "./fake-sockets.js";
import {
  creditsNotice,
  disconnectNotice,
  type HeaderProtocol,
  type RequestOptions,
  requestMessage,
} from "./mongrel2-messages.js";
import { freePort } from "./ports.js";

export type { FakeOptions };

/** connection.h */
const DELIVER_OUTSTANDING_MSGS = 16;
/** connection.c, MAX_CREDITS. */
const MAX_CREDITS = 102_400;
/** How long a restart tries to get its own address back, milliseconds. */
const REBIND_MS = 2_000;
const BIND_TRIES = 3;
/** As far as the parser must have come to take a frame for an extended one. */
const SEEN_AS_EXTENDED = /^[A-Za-z0-9-]+ \d+:X [\d,]/;

export class FakeMongrel2 {
  readonly protocol: HeaderProtocol;
  readonly sendIdent: string;
  readonly recvIdent: string;
  readonly flowControl: boolean;
  sendSpec = "";
  recvSpec = "";
  readonly counters = new Counters();
  /** The most messages, and bytes, that ever waited for one connection (P10: at most 16). */
  maxPendingEver = 0;
  maxPendingBytesEver = 0;
  /** Connections that are open, by id. */
  readonly clients = new Map<number, FakeClient>();
  readonly #maxTargets: number;
  readonly #stickyExtended: boolean;
  readonly #yieldAfterMs: number;
  readonly #changes = new Changes();
  readonly #owner: Owner;
  /** Connections with something to write. */
  readonly #dirty = new Set<FakeClient>();
  /** Absent while it is down. */
  #sockets: FakeSockets | undefined;
  /** Runs out when no frame came for long enough. */
  #quiet: NodeJS.Timeout | undefined;
  #lastId = 0;
  #held = false;
  /** A writer that has to wait for the handler does not start the writers again. */
  #yielding = false;
  #takenForExtended = false;

  private constructor(options: FakeOptions) {
    this.protocol = options.protocol ?? "json";
    this.sendIdent = options.sendIdent ?? "m2push-fake";
    this.recvIdent = options.recvIdent ?? `${this.sendIdent} `;
    this.flowControl = options.flowControl ?? false;
    this.#maxTargets = options.maxTargets ?? 128;
    this.#stickyExtended = options.stickyExtended ?? true;
    this.#yieldAfterMs = options.yieldAfterMs ?? 0;
    this.#owner = this.#ownership();
  }

  /** Binds on free ports of 127.0.0.1; the caller must stop() it. */
  static async start(options: FakeOptions = {}): Promise<FakeMongrel2> {
    const fake = new FakeMongrel2(options);
    for (let attempt = 1; ; attempt++) {
      fake.sendSpec = `tcp://127.0.0.1:${await freePort()}`;
      fake.recvSpec = `tcp://127.0.0.1:${await freePort()}`;
      try {
        await fake.#up(0);
        return fake;
      } catch (error) {
        await fake.stop();
        if (attempt === BIND_TRIES) throw error;
      }
    }
  }

  /** A browser connects and asks; the request waits as long as no handler is there. */
  connect(request: RequestOptions = {}): FakeClient {
    const client = new FakeClient(++this.#lastId, this.#owner);
    this.clients.set(client.id, client);
    const extra = this.flowControl ? { DOWNLOAD_CREDITS: String(MAX_CREDITS), ...request.extra } : request.extra;
    this.#owner.request(client, extra ? { ...request, extra } : request);
    return client;
  }

  /** Connections that never reach a handler (static files) use up ids all the same. */
  burnIds(count: number): void {
    this.#lastId += count;
  }

  /** Sends any bytes to the handler. */
  raw(message: Buffer): void {
    void this.#post(message);
  }

  /** Stops writing to browsers, as Mongrel2 does during an endless burst. */
  holdWriters(): void {
    this.#held = true;
  }

  releaseWriters(): void {
    this.#held = false;
    this.#yield();
  }

  /** Resolves once `look` finds something; it is asked after every burst of frames and every end of a connection. */
  until<T>(look: Look<T>, what: string, ms?: number): Promise<T> {
    return this.#changes.until(look, what, ms, () => `; ${JSON.stringify(this.counters)}`);
  }

  /** Dies and comes back on the same addresses: every connection is lost, ids start at 1. */
  async restart(): Promise<void> {
    await this.stop();
    await this.#up(REBIND_MS);
  }

  /** Ends every connection without telling anybody, and lets go of the sockets. restart() brings it back. */
  async stop(): Promise<void> {
    clearTimeout(this.#quiet);
    for (const client of [...this.clients.values()]) client.end("lost");
    const sockets = this.#sockets;
    this.#sockets = undefined;
    await sockets?.close();
  }

  async #up(timeoutMs: number): Promise<void> {
    this.#lastId = 0;
    this.#takenForExtended = false;
    this.#sockets = new FakeSockets();
    await this.#sockets.bind(this, timeoutMs);
    this.#sockets.serve(
      (frame) => this.#take(frame),
      () => this.#idle(),
    );
  }

  /** No frame is ready. */
  #idle(): void {
    if (this.#yieldAfterMs === 0) this.#yield();
    else this.#quiet = setTimeout(() => this.#yield(), this.#yieldAfterMs);
    this.#changes.tell();
  }

  /** The writers run. */
  #yield(): void {
    if (this.#held || this.#yielding) return;
    this.#yielding = true;
    for (const client of [...this.#dirty]) {
      client.drain();
      if (client.pending === 0) this.#dirty.delete(client);
    }
    this.#yielding = false;
  }

  async #take(bytes: Buffer): Promise<void> {
    clearTimeout(this.#quiet);
    this.counters.frames++;
    const reply = this.#parse(bytes);
    if (!reply) return this.#yield();
    const extended = reply.extended || this.#takenForExtended;
    if (extended && !reply.extended) this.counters.swallowed++;
    this.#takenForExtended = false;
    if (extended) await this.#control(reply.ids, reply.body);
    else for (const id of reply.ids) await this.#deliver(id, reply.body);
  }

  #parse(bytes: Buffer): { ids: readonly number[]; extended: boolean; body: Buffer } | undefined {
    try {
      const reply = decodeReply(bytes);
      if (reply.ids.length > 0 && reply.ids.length <= this.#maxTargets) return reply;
      if (reply.ids.length > 0) this.counters.oversized++;
    } catch {
      // Counted below, as whatever else is wrong.
    }
    this.counters.malformed++;
    if (this.#stickyExtended && SEEN_AS_EXTENDED.test(bytes.toString("latin1", 0, 200))) this.#takenForExtended = true;
    return undefined;
  }

  async #deliver(id: number, body: Buffer): Promise<void> {
    const client = this.clients.get(id);
    if (!client) return this.#notify(id);
    if (body.length > 0) return client.deliver(body);
    this.counters.closes++;
    if (!client.close()) this.counters.lostCloses++;
  }

  async #control(ids: readonly number[], body: Buffer): Promise<void> {
    this.counters.extended++;
    const control = parseControl(body);
    for (const id of ids) {
      const client = this.clients.get(id);
      if (client) this.#controlOne(client, control);
      else if (control !== "cancel") await this.#notify(id);
    }
  }

  #controlOne(client: FakeClient, control: Control): void {
    switch (control) {
      case "keep-alive":
        this.counters.keepAlives++;
        client.keepAlives++;
        return;
      case "cancel":
        if (client.cancel()) this.counters.cancels++;
        return;
      case "foreign":
        client.end("killed", "an extended reply that nothing handles");
        return;
      case "crash":
        this.counters.crashes++;
        void this.stop();
        return;
      case "nothing":
    }
  }

  #notify(id: number): Promise<void> {
    this.counters.notices++;
    return this.#post(disconnectNotice(this.protocol, this.sendIdent, id));
  }

  #post(message: Buffer): Promise<void> {
    // A task that has to wait lets the writers run.
    if (!this.#sockets?.writable) this.#yield();
    return this.#sockets?.post(message) ?? Promise.resolve();
  }

  #ownership(): Owner {
    return {
      limits: this.flowControl
        ? { messages: Number.POSITIVE_INFINITY, bytes: MAX_CREDITS }
        : { messages: DELIVER_OUTSTANDING_MSGS, bytes: Number.POSITIVE_INFINITY },
      queued: (client, pending, bytes) => this.#queued(client, pending, bytes),
      written: (client, bytes) => this.#written(client, bytes),
      ended: (client, ending) => this.#ended(client, ending),
      request: (client, options) => {
        this.counters.requests++;
        void this.#post(requestMessage(this.protocol, this.sendIdent, client.id, options));
      },
    };
  }

  #queued(client: FakeClient, pending: number, bytes: number): void {
    this.counters.queued++;
    this.#dirty.add(client);
    this.maxPendingEver = Math.max(this.maxPendingEver, pending);
    this.maxPendingBytesEver = Math.max(this.maxPendingBytesEver, bytes);
  }

  #written(client: FakeClient, bytes: number): void {
    this.counters.written++;
    this.counters.bytes += bytes;
    if (!this.flowControl) return;
    this.counters.credits++;
    void this.#post(creditsNotice(this.protocol, this.sendIdent, client.id, bytes));
  }

  #ended(client: FakeClient, ending: Ending): void {
    this.clients.delete(client.id);
    this.#dirty.delete(client);
    if (ending === "killed") this.counters.killed++;
    if (ending === "left") void this.#notify(client.id);
    this.#changes.tell();
  }
}
