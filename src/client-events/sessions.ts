/**
 * The sessions that webhooks are told of. A session is a visitor who is connected: it begins with a connect, goes on over a restart of the
 * daemon (adopt) and over a return within the grace, and ends with a disconnect. So a page that is reloaded is no event.
 *
 *   none  -- connect, no session of this visitor waits -->  connected      told: connect
 *   connected  -- the connection ends -->  leaving  -- the grace is over -->  none      told: disconnect
 *   leaving  -- the same visitor connects, or the link finds the connection again -->  connected      nothing is told
 *
 * A visitor is the same if the subject of the token is, or, without a token, the address; and the topics are
 * (docs/decisions/0089-a-reload-is-no-event.md). Of several sessions of one visitor that wait, the oldest goes on: their number is exact.
 */
import { createHash, randomUUID } from "node:crypto";
import type { ClientEventKind } from "../config/schema.js";
import type { Client } from "../delivery/client.js";
import type { EventOf } from "../hub/events.js";
import { signature } from "../matching/selector.js";
import type { Cancel, Clock } from "../util/clock.js";
import type { ClientEvent, Describer } from "./client-event.js";
import type { EventStore, StoredSession } from "./event-store.js";

/** Visitors who have left and may return; of more the oldest are told of at once. */
const MAX_LEAVING_COUNT = 100_000;
/** Disconnects that are told of in one turn of the event loop. */
const MAX_ENDED_COUNT = 500;
/** Characters of a hash that are kept: 96 bits. */
const VISITOR_CHARACTERS = 16;

export interface SessionsOptions {
  readonly store: Pick<EventStore, "putSession" | "removeSession" | "storedSessions">;
  readonly clock: Clock;
  readonly describer: Describer;
  /** Milliseconds; 0 = a disconnect is told at once. */
  readonly grace: number;
  /** The [[mongrel2]] names. */
  readonly servers: ReadonlySet<string>;
  /** Stores an event for the webhooks. */
  readonly tell: (kind: ClientEventKind, time: number, json: string) => void;
}

interface Leaving extends StoredSession {
  readonly left: NonNullable<StoredSession["left"]>;
  /** Clock.monotonic(). */
  readonly deadline: number;
}

export class Sessions {
  readonly #options: SessionsOptions;
  #grace: number;
  /** Those of this process, by server and connection. */
  readonly #connected = new Map<string, StoredSession>();
  /** Those of the previous process, until they are adopted, or are not there any more. */
  readonly #previous = new Map<string, StoredSession>();
  /** In the order in which they left; also by connection and by visitor. */
  readonly #leaving = new Map<string, Leaving>();
  readonly #byVisitor = new Map<string, Set<Leaving>>();
  #timer: Cancel | undefined;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#grace = options.grace;
    for (const session of options.store.storedSessions()) this.#restore(session);
    this.#schedule();
  }

  /** Sessions that are connected, and those that may return. */
  get counts(): { readonly connected: number; readonly leaving: number } {
    return { connected: this.#connected.size + this.#previous.size, leaving: this.#leaving.size };
  }

  set grace(milliseconds: number) {
    this.#grace = milliseconds;
  }

  connected(event: EventOf<"clientConnected">): void {
    const { server, client } = event;
    const key = keyOf(server, client.id);
    this.#forgetPrevious(key);
    const visitor = visitorOf(client);
    const [returning] = this.#byVisitor.get(visitor) ?? [];
    if (returning) {
      this.#return(returning, server, client.id);
      return;
    }
    const session = this.#begin(server, client, visitor);
    this.#tell("connect", this.#options.describer.connect(event), session.id);
  }

  adopted({ server, client }: EventOf<"clientAdopted">): void {
    const key = keyOf(server, client.id);
    const leaving = this.#leaving.get(key);
    if (leaving) {
      this.#return(leaving, server, client.id);
      return;
    }
    const previous = this.#previous.get(key);
    this.#previous.delete(key);
    if (previous) this.#connected.set(key, previous);
    const session = previous ?? this.#begin(server, client, visitorOf(client));
    this.#tell("adopt", this.#options.describer.ofClient("adopt", server, client), session.id);
  }

  /** Clients of the previous process that were not adopted are gone. */
  adoptionCompleted(server: string): void {
    for (const [key, session] of this.#previous) if (session.server === server) this.#forgetPrevious(key);
  }

  topicsChanged({ server, client }: EventOf<"topicsChanged">): void {
    const session = { ...this.#sessionOf(server, client), visitor: visitorOf(client) };
    this.#connected.set(keyOf(server, client.id), session);
    this.#options.store.putSession(session);
    this.#tell("topics", this.#options.describer.ofClient("topics", server, client), session.id);
  }

  disconnected({ server, client, reason }: EventOf<"clientDisconnected">): void {
    const session = this.#sessionOf(server, client);
    this.#connected.delete(keyOf(server, client.id));
    this.#leave(session, this.#options.describer.disconnect(server, client, reason));
  }

  gapReported(event: EventOf<"gapReported">): void {
    for (const gap of this.#options.describer.gaps(event)) {
      const sessions = gap.connections?.map((id) => this.#connected.get(keyOf(event.server, id))?.id ?? null);
      this.#options.tell("gap", Date.parse(gap.time), JSON.stringify({ ...gap, sessions }));
    }
  }

  /** Nothing is told any more: who has left is told of by the next process. */
  close(): void {
    this.#timer?.();
  }

  /** A client whose connect was not told, because there was no webhook then, gets a session. */
  #sessionOf(server: string, client: Client): StoredSession {
    return this.#connected.get(keyOf(server, client.id)) ?? this.#begin(server, client, visitorOf(client));
  }

  #begin(server: string, { id: connection }: Client, visitor: string): StoredSession {
    const session = { id: randomUUID(), server, connection, visitor };
    this.#connected.set(keyOf(server, connection), session);
    this.#options.store.putSession(session);
    return session;
  }

  #return(leaving: Leaving, server: string, connection: number): void {
    this.#forgetLeaving(leaving);
    const { id, visitor } = leaving;
    const session = { id, server, connection, visitor };
    this.#connected.set(keyOf(server, connection), session);
    this.#options.store.putSession(session);
  }

  #forgetPrevious(key: string): void {
    const session = this.#previous.get(key);
    if (!session) return;
    this.#previous.delete(key);
    this.#leave(session, this.#options.describer.gone(session.server, session.connection));
  }

  #leave(session: StoredSession, event: ClientEvent): void {
    const left = { json: JSON.stringify({ ...event, session: session.id }), time: Date.parse(event.time) };
    const leaving = { ...session, left, deadline: this.#options.clock.monotonic() + this.#grace };
    if (this.#grace === 0) {
      this.#end(leaving);
      return;
    }
    this.#options.store.putSession({ ...session, left });
    this.#wait(leaving);
    const [oldest] = this.#leaving.values();
    if (this.#leaving.size > MAX_LEAVING_COUNT && oldest) this.#end(oldest);
    this.#schedule();
  }

  /** In the order of the log: the connection may be another visitor's by now, so its id alone is no key. */
  #wait(leaving: Leaving): void {
    const key = keyOf(leaving.server, leaving.connection);
    const former = this.#leaving.get(key);
    if (former) this.#end(former);
    this.#leaving.set(key, leaving);
    const same = this.#byVisitor.get(leaving.visitor);
    if (same) same.add(leaving);
    else this.#byVisitor.set(leaving.visitor, new Set([leaving]));
  }

  #end(leaving: Leaving): void {
    this.#forgetLeaving(leaving);
    this.#options.store.removeSession(leaving.id);
    this.#options.tell("disconnect", leaving.left.time, leaving.left.json);
  }

  #forgetLeaving(leaving: Leaving): void {
    const key = keyOf(leaving.server, leaving.connection);
    if (this.#leaving.get(key) === leaving) this.#leaving.delete(key);
    const same = this.#byVisitor.get(leaving.visitor);
    same?.delete(leaving);
    if (same?.size === 0) this.#byVisitor.delete(leaving.visitor);
  }

  #schedule(): void {
    const [oldest] = this.#leaving.values();
    if (this.#timer || !oldest) return;
    const delayMs = Math.max(0, oldest.deadline - this.#options.clock.monotonic());
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#endOverdue();
      this.#schedule();
    });
  }

  #endOverdue(): void {
    const now = this.#options.clock.monotonic();
    let count = 0;
    for (const leaving of this.#leaving.values()) {
      if (leaving.deadline > now || count++ === MAX_ENDED_COUNT) return;
      this.#end(leaving);
    }
  }

  /** Browsers return after the daemon has: the grace of those that had left begins again. */
  #restore(session: StoredSession): void {
    const { left } = session;
    const key = keyOf(session.server, session.connection);
    if (left) this.#wait({ ...session, left, deadline: this.#options.clock.monotonic() + this.#grace });
    else this.#previous.set(key, session);
    if (!left && !this.#options.servers.has(session.server)) this.#forgetPrevious(key);
  }

  #tell(kind: ClientEventKind, event: ClientEvent, session: string): void {
    this.#options.tell(kind, Date.parse(event.time), JSON.stringify({ ...event, session }));
  }
}

const keyOf = (server: string, connection: number): string => `${server} ${connection}`;

/** Hashed: it is stored, and what is asked for may have 32 kB. */
function visitorOf({ subject, remote, audience }: Client): string {
  const who = subject === undefined ? ["", remote] : [subject];
  const text = JSON.stringify([...who, signature(audience.interest.selectors)]);
  return createHash("sha256").update(text).digest("base64url").slice(0, VISITOR_CHARACTERS);
}
