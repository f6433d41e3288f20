/**
 * One browser connection that streams, and the only module that writes its delivery state:
 *
 *   closed  --placed-->  live  --falls behind-->  catchingUp  --reaches its audience-->  live
 *     ^                    |                          | ^ |
 *     +--------------------+--------- close ----------+ +-+ next cursor
 *
 *   live        It is a member of its audience and gets what the audience gets, in the same frames.
 *   catchingUp  It belongs to a group of clients that read the history from the same cursor (catchup.ts).
 *   closed      It gets nothing: not placed yet, or ended.
 *
 * A state is an object that many clients share: one for live, one for closed, and a group's for catchingUp. So the union costs a client
 * one pointer and no allocation, and every client has the same hidden class (docs/decisions/0031-client-states-are-shared-objects.md).
 * Long because everything that is known of a client is here.
 */
import { interestTexts } from "../matching/interest.js";
import type { Audience, Member } from "./audience.js";
import type { ClientIdentity } from "./client-identity.js";
import type { ClientStore, StoredClient } from "./client-store.js";
import type { Selecting } from "./selecting.js";
import type { StreamControl, TransitionStep } from "./stream-control.js";
import type { Subscriber } from "./subscriber.js";

/** The cursor of a client that has seen no publication of the epoch and must be told that it missed some. */
export const BEFORE_ALL = -1;

export type ClientState = Live | CatchingUp | Closed;

interface Live {
  readonly name: "live";
}

/** Shared by all clients of one audience that have been sent everything up to the same offset. */
export interface CatchingUp {
  readonly name: "catchingUp";
  readonly cursor: number;
  /** What they are sent first: only the selected events up to `cursor` were sent. Undefined = every publication after the cursor. */
  readonly selecting: Selecting | undefined;
}

interface Closed {
  readonly name: "closed";
}

const LIVE: Live = { name: "live" };
const CLOSED: Closed = { name: "closed" };

/** What a client is from a change of its topics on. */
export interface ChangedClient {
  readonly audience: Audience<Client>;
  readonly subscriber: Subscriber | undefined;
  readonly control: StreamControl;
}

export class Client implements Member {
  readonly id: number;
  readonly remote: string;
  readonly since: number;
  readonly expiresAt: number | undefined;
  readonly keyFingerprints: readonly string[] | undefined;
  readonly tokenIds: readonly string[] | undefined;
  /** Bytes that may be in flight to it; Infinity without flow control. */
  readonly creditLimit: number;
  #audience: Audience<Client>;
  readonly #subject: string | undefined;
  #subscriber: Subscriber | undefined;
  #control: StreamControl | undefined;
  #state: ClientState = CLOSED;
  #slot = -1;
  #creditAvailable: number;
  #acknowledgedOffset = 0;
  #isCoveredByServerFence = false;
  #acknowledgedSelecting: Selecting | undefined;

  constructor(identity: ClientIdentity, audience: Audience<Client>) {
    this.id = identity.id;
    this.remote = identity.remote;
    this.since = identity.since;
    this.expiresAt = identity.expiresAt;
    this.keyFingerprints = identity.keyFingerprints;
    this.tokenIds = identity.tokenIds;
    this.creditLimit = identity.creditLimit ?? Number.POSITIVE_INFINITY;
    this.#audience = audience;
    this.#subject = identity.subject;
    this.#subscriber = identity.subscriber;
    this.#control = identity.control;
    this.#creditAvailable = this.creditLimit;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Its audience, whether it is live or not. All clients of an audience requested the same and may see the same. */
  get audience(): Audience<Client> {
    return this.#audience;
  }

  /** Its entry in the subscription API; undefined = it has none. */
  get subscriber(): Subscriber | undefined {
    return this.#subscriber;
  }

  /** The `sub` claim of its token; undefined = none. */
  get subject(): string | undefined {
    return this.#subject ?? this.#subscriber?.subject;
  }

  /** Undefined = its topics do not change. */
  get control(): StreamControl | undefined {
    return this.#control;
  }

  /** Its index in the member list of its audience; -1 unless live. */
  get slot(): number {
    return this.#slot;
  }

  /** Bytes that may be sent to it now: the limit less what is in flight. */
  get creditAvailable(): number {
    return this.#creditAvailable;
  }

  /** Everything up to this offset is acknowledged for this client alone; see Acknowledgements.of(). */
  get acknowledgedOffset(): number {
    return this.#acknowledgedOffset;
  }

  /** Whether fences of its server acknowledge publications for this client, too. */
  get coveredByServerFence(): boolean {
    return this.#isCoveredByServerFence;
  }

  /** The selection of which events up to `acknowledgedOffset` are acknowledged; undefined = it is complete, or there was none. */
  get acknowledgedSelecting(): Selecting | undefined {
    return this.#acknowledgedSelecting;
  }

  /** Becomes live. Called by its audience, which has put it at this index. */
  goLive(slot: number): void {
    if (this.#state === LIVE) throw new TypeError(`client ${this.id} is live already`);
    this.#state = LIVE;
    this.#slot = slot;
  }

  /** Stays live at another index of the member list. */
  moveTo(slot: number): void {
    if (this.#state !== LIVE) throw new TypeError(`client ${this.id} is not live`);
    this.#slot = slot;
  }

  /** Reads from the history at the cursor of this group. The caller has removed it from its audience or from another group. */
  catchUp(group: CatchingUp): void {
    this.#state = group;
    this.#slot = -1;
  }

  /** Gets nothing from now on. The caller has removed it from its audience or group. */
  close(): void {
    this.#state = CLOSED;
    this.#slot = -1;
  }

  /** Its topics change. The caller has removed it from its audience or group, and puts it into one of the new audience. */
  change({ audience, subscriber, control }: ChangedClient): void {
    if (this.#state === LIVE) throw new TypeError(`client ${this.id} is still a member of its audience`);
    this.#audience = audience;
    this.#subscriber = subscriber;
    this.#control = control;
  }

  /** Its stream has got everything for its topics after this offset. */
  startsAt(offset: number): void {
    if (this.#control) this.#control = { ...this.#control, start: offset };
  }

  /** Mongrel2 has taken what a flush sent it of a transition. */
  transitionTaken({ before, after }: TransitionStep): void {
    if (this.#control?.pending === before) this.#control = { ...this.#control, pending: after };
  }

  /** Bytes are in flight to it. */
  debit(bytes: number): void {
    this.#creditAvailable -= bytes;
  }

  /** Mongrel2 has written bytes to it: they are not in flight any more. */
  credit(bytes: number): void {
    this.#creditAvailable = Math.min(this.creditLimit, this.#creditAvailable + bytes);
  }

  /** Everything up to `offset`, of a selection if there is one, is acknowledged. `isCovered`: fences of its server acknowledge what follows. */
  acknowledge(offset: number, isCovered: boolean, selecting: Selecting | undefined): void {
    this.#acknowledgedOffset = offset;
    this.#acknowledgedSelecting = selecting;
    this.#isCoveredByServerFence = isCovered;
  }
}

/** Clients that a flush has moved to another cursor. */
interface AcknowledgedStep {
  readonly clients: readonly Client[];
  readonly cursor: number;
  readonly selecting: Selecting | undefined;
  readonly isLive: boolean;
  readonly transition?: TransitionStep;
}

/**
 * What Mongrel2 has taken for the clients of one server, in memory and in the client store. A live client needs no entry for each event:
 * the server's fence covers it.
 */
export class Acknowledgements {
  readonly #server: string;
  readonly #store: ClientStore;
  #fence: number;

  /** `head`: the offset of the newest publication. */
  constructor(server: string, store: ClientStore, head: number) {
    this.#server = server;
    this.#store = store;
    this.#fence = head;
  }

  /** Mongrel2 has taken every publication for this client up to this offset. */
  of(client: Client): number {
    const { acknowledgedOffset } = client;
    return client.coveredByServerFence ? Math.max(acknowledgedOffset, this.#fence) : acknowledgedOffset;
  }

  /** A client starts at a cursor; `isLive`: that is where its audience is. */
  start(client: Client, cursor: number, isLive: boolean, selecting?: Selecting): void {
    client.acknowledge(cursor, isLive, selecting);
    this.#put(client);
  }

  /** The fence of a flush has passed: everything up to `through` for covered clients, and the steps of those that catch up. */
  flushTaken(through: number, steps: readonly AcknowledgedStep[]): void {
    this.#fence = through;
    for (const { clients, cursor, selecting, isLive, transition } of steps) {
      for (const client of clients) {
        if (client.state.name === "closed") continue;
        // The client may have fallen behind since: then fences say nothing about what follows.
        client.acknowledge(cursor, isLive && client.state.name === "live", selecting);
        if (transition) client.transitionTaken(transition);
        this.#put(client);
      }
    }
    this.#store.fenced(this.#server, through);
  }

  /** Live clients fall behind: the fence covers them up to here and not beyond. */
  fallBehind(clients: readonly Client[]): void {
    for (const client of clients) {
      client.acknowledge(this.of(client), false, client.acknowledgedSelecting);
      this.#put(client);
    }
  }

  /** A client's topics have changed at a cursor, up to which Mongrel2 has taken everything; it catches up from there. */
  changed(client: Client, cursor: number): void {
    client.acknowledge(cursor, false, undefined);
    this.#put(client);
  }

  /** After a discontinuity: earlier fences say nothing about offsets after `head`. */
  restart(head: number): void {
    this.#fence = head;
  }

  /** A new epoch: no offset of the old one is acknowledged in it. */
  forgetOffsets(clients: Iterable<Client>): void {
    for (const client of clients) {
      client.acknowledge(BEFORE_ALL, false, undefined);
      this.#put(client);
    }
  }

  /** What the next process needs to continue the client's stream. */
  stored(client: Client): StoredClient {
    const { id, remote, since, creditLimit, expiresAt, keyFingerprints, coveredByServerFence } = client;
    const { tokenIds, subscriber, subject, control } = client;
    const { selectors, grants } = interestTexts(client.audience.interest);
    const acknowledgedOffset = this.of(client);
    const stored: Writable = { id, remote, since, acknowledgedOffset, coveredByServerFence, selectors };
    if (grants.length > 0) stored.grants = grants;
    if (client.audience.interest.hasHeartbeatEvents) stored.hasHeartbeatEvents = true;
    if (client.audience.interest.isCompressed) stored.isCompressed = true;
    if (creditLimit !== Number.POSITIVE_INFINITY) stored.creditLimit = creditLimit;
    if (expiresAt !== undefined) stored.expiresAt = expiresAt;
    if (keyFingerprints) stored.keyFingerprints = keyFingerprints;
    if (tokenIds && tokenIds.length > 0) stored.tokenIds = tokenIds;
    if (subscriber) stored.subscriber = subscriber;
    else if (subject !== undefined) stored.subject = subject;
    if (client.acknowledgedSelecting) stored.selection = client.acknowledgedSelecting.stored;
    if (control) stored.control = control;
    return stored;
  }

  #put(client: Client): void {
    this.#store.put(this.#server, this.stored(client));
  }
}

/** Filled member by member: spreading optional members is slow before V8 has compiled it, as in the first storm of connects. */
type Writable = { -readonly [Name in keyof StoredClient]: StoredClient[Name] };
