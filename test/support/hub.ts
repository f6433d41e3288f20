/** A hub on a recording outlet, with a history in memory and no observers. */

import { LocalBus } from "../../src/cluster/local-bus.js";
import type { ClientStore, StoredClient } from "../../src/delivery/client-store.js";
import type { Compression } from "../../src/delivery/compression.js";
import type { ObserveDelivery } from "../../src/delivery/events.js";
import type { History } from "../../src/delivery/history.js";
import type { ReplayRequest } from "../../src/delivery/replay.js";
import type { SelectionRequest } from "../../src/delivery/selection.js";
import type { ServerDelivery } from "../../src/delivery/server-delivery.js";
import type { StreamControl } from "../../src/delivery/stream-control.js";
import type { Subscriber } from "../../src/delivery/subscriber.js";
import type { Subscription } from "../../src/delivery/subscription.js";
import { VisibleHistory } from "../../src/delivery/visible-history.js";
import { Hub } from "../../src/hub/hub.js";
import { EVERYTHING_PUBLIC, type Interest } from "../../src/matching/interest.js";
import { FileRequestRecord } from "../../src/storage/clients/file-request-record.js";
import { MemoryHistory } from "../../src/storage/memory/memory-history.js";
import { Conditions } from "../../src/util/conditions.js";
import { FakeClock } from "./clock.js";
import { RecordingOutlet } from "./outlet.js";

/** A client store whose content a test can read. */
export class MapStore implements ClientStore {
  readonly clients = new Map<number, StoredClient>();
  /** The last offset of fenced(). */
  through = 0;
  /** Servers that stopped cleanly. */
  readonly stopped: string[] = [];
  readonly #requests = new FileRequestRecord({
    folder: undefined,
    server: "main",
    boot: "",
    monotonic: () => 0,
    cleanStop: false,
    onWrite() {},
  });
  previousClients() {
    return { clients: [...this.clients.values()], aliveAt: 0, cleanStop: this.stopped.length > 0, isMissing: false };
  }
  requests() {
    return this.#requests;
  }
  put(_server: string, client: StoredClient) {
    this.clients.set(client.id, client);
  }
  remove(_server: string, id: number) {
    this.clients.delete(id);
  }
  async written() {}
  fenced(_server: string, through: number) {
    this.through = through;
  }
  renew() {
    this.through = 0;
  }
  markTrusted() {}
  markUntrusted() {}
  stoppedCleanly(server: string) {
    this.stopped.push(server);
  }
  async close() {}
}

export interface Bench {
  readonly hub: Hub;
  readonly server: ServerDelivery;
  readonly outlet: RecordingOutlet;
  readonly history: History;
  readonly store: MapStore;
  readonly clock: FakeClock;
  /** Conditions in order: "began CODE", "ended CODE". */
  readonly problems: readonly string[];
  /** Subscribers that joined and left, in order. */
  readonly presence: readonly (readonly [what: string, subscriber: string])[];
  /** Opens a client; its opening is one comment. */
  connect(
    id: number,
    options?: {
      lastEventId?: string;
      interest?: Interest;
      creditLimit?: number;
      expiresAt?: number;
      keyFingerprints?: readonly string[];
      subscriber?: Subscriber;
      selection?: SelectionRequest;
      control?: StreamControl;
      head?: Buffer;
    },
  ): void;
  publish(data: string, topic?: string): void;
}

export interface BenchOptions {
  readonly isFlooded?: () => boolean;
  readonly maxEvents?: number;
  readonly maxTargets?: number;
  /** Absent = events are dropped. */
  readonly observe?: ObserveDelivery;
  /** Replaces MemoryHistory. */
  readonly History?: typeof MemoryHistory;
  /** What an earlier process left: its clients are not adopted yet. */
  readonly previous?: Pick<Bench, "history" | "store" | "clock">;
  /** Absent = a new one. */
  readonly outlet?: RecordingOutlet;
  /** Absent = no stream is compressed. */
  readonly compression?: (clock: FakeClock) => Compression;
}

export async function bench(options: BenchOptions = {}): Promise<Bench> {
  const { maxEvents = 100_000, maxTargets = 128, isFlooded = () => false, History = MemoryHistory } = options;
  const { observe = () => {}, previous } = options;
  const clock = previous?.clock ?? new FakeClock();
  const stored = () => new VisibleHistory(new History({ maxEvents, maxAge: 1e12, maxBytes: 1e12 }, clock), clock);
  const history = previous?.history ?? stored();
  const store = previous?.store ?? new MapStore();
  const presence: [what: string, subscriber: string][] = [];
  const problems: string[] = [];
  const conditions = new Conditions(clock, ({ type, condition }) =>
    problems.push(`${type === "conditionBegan" ? "began" : "ended"} ${condition.code}`),
  );
  const hub = new Hub({
    conditions,
    bus: new LocalBus(history, clock),
    history,
    clients: store,
    observe,
    presenceListener: {
      joined: (it) => presence.push(["joined", it.id]),
      adopted() {},
      changed: (_, it) => presence.push(["changed", it.id]),
      left: (it) => presence.push(["left", it.id]),
    },
    clock,
    base: "http://hub.example/.well-known/mercure",
    random: () => 0.5,
    isFlooded,
    compression: options.compression?.(clock),
  });
  await hub.start();
  const { outlet = new RecordingOutlet(clock, maxTargets) } = options;
  const server = hub.serveMongrel2("main", outlet, { keepalive: 45_000, heartbeat: 15_000 });
  server.start();
  return {
    hub,
    server,
    outlet,
    history,
    store,
    clock,
    problems,
    presence,
    connect(id, { lastEventId, interest = EVERYTHING_PUBLIC, ...rest } = {}) {
      openStream(hub, server, { id, ...rest, remote: "127.0.0.1", interest, lastEventId });
    },
    publish(data, topic = "t") {
      void hub.publish({ topics: [topic], data, private: false });
    },
  };
}

/** A subscription as tests state it. */
interface StreamRequest extends Omit<Subscription, "replay" | "head"> {
  readonly lastEventId?: string | undefined;
  readonly head?: Buffer;
}

/** Opens a stream as the subscribe route does; its head is one comment. */
export function openStream(
  hub: Hub,
  server: ServerDelivery,
  { lastEventId, head = Buffer.from(": open\n\n"), ...rest }: StreamRequest,
): void {
  const replay = hub.findReplay(lastEventId);
  const open = (found: ReplayRequest) => hub.subscribe(server, { ...rest, replay: found, head });
  if (replay instanceof Promise) void server.continueAfter(rest.id, replay, open);
  else open(replay);
}
