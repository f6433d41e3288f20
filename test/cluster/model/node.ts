/** One node of the model: a daemon's bus, history and hub, and the connections of its Mongrel2. */
import { type Cluster, type ClusterOptions, openCluster } from "../../../src/cluster/open-cluster.js";
import type { Dial } from "../../../src/cluster/stream-session.js";
import type { DeliveryEvent } from "../../../src/delivery/events.js";
import type { Address, Outlet } from "../../../src/delivery/outlet.js";
import type { ServerDelivery } from "../../../src/delivery/server-delivery.js";
import { VisibleHistory } from "../../../src/delivery/visible-history.js";
import { Hub } from "../../../src/hub/hub.js";
import { MemoryHistory, newEpoch } from "../../../src/storage/memory/memory-history.js";
import type { Clock } from "../../../src/util/clock.js";
import { MapStore } from "../../support/hub.js";

const BASE = "http://hub.example/.well-known/mercure";
/** Fewer than a run publishes: older events are read from the stream. */
const TAIL = { maxEvents: 8, maxAge: 1e15, maxBytes: 1e9 };

export interface NodeOptions {
  readonly clock: Clock;
  readonly dial: Dial;
  readonly observe: (event: DeliveryEvent) => void;
  readonly sent: (connection: number, text: string) => void;
  readonly closed: (connection: number) => void;
  readonly cluster?: Partial<ClusterOptions>;
}

/** What it is given arrives at once; fences pass when the test says so. */
class ModelOutlet implements Outlet {
  readonly maxTargets = 128;
  fences: (() => void)[] = [];
  readonly #options: Pick<NodeOptions, "sent" | "closed">;

  constructor(options: Pick<NodeOptions, "sent" | "closed">) {
    this.#options = options;
  }

  address(ids: readonly number[]): Address {
    return Buffer.from(ids.join(" "));
  }

  deliver(address: Address, body: Buffer): void {
    for (const id of address.toString().split(" ").map(Number)) this.#options.sent(id, body.toString());
  }

  open(id: number, body: Buffer): void {
    this.#options.sent(id, body.toString());
  }

  close(ids: readonly number[]): void {
    for (const id of ids) this.#options.closed(id);
  }

  cancel(ids: readonly number[]): void {
    this.close(ids);
  }

  prepare(): void {}
  keepAlive(): void {}

  fence(passed: () => void): void {
    this.fences.push(passed);
  }
}

export class ModelNode {
  readonly cluster: Cluster;
  readonly hub: Hub;
  readonly server: ServerDelivery;
  readonly history: VisibleHistory;
  readonly #outlet: ModelOutlet;

  private constructor(options: NodeOptions, cluster: Cluster, hub: Hub, history: VisibleHistory) {
    this.cluster = cluster;
    this.hub = hub;
    this.history = history;
    this.#outlet = new ModelOutlet(options);
    this.server = hub.serveMongrel2("main", this.#outlet, { keepalive: 45_000, heartbeat: 15_000 });
    this.server.start();
  }

  static async open(options: NodeOptions): Promise<ModelNode> {
    const { clock, dial, observe } = options;
    const cluster = await openCluster(dial, {
      ...{ clock, newEpoch, folder: undefined, stream: "test", changed() {}, refused() {} },
      tail: (from) => new MemoryHistory(TAIL, clock, from),
      about: () => ({ name: "node", version: "0", clients: 0 }),
      warn() {},
      // Fewer than a run publishes: a node that starts reads the older ones, and the removals, from the stream.
      warmupMessages: 4,
      ...options.cluster,
    });
    const history = new VisibleHistory(cluster.history, clock);
    const hub = new Hub({
      ...{ history, clock, bus: cluster.bus, clients: new MapStore(), base: BASE, random: () => 0.5, observe },
      presenceListener: { joined() {}, changed() {}, adopted() {}, left() {} },
    });
    await hub.start();
    return new ModelNode(options, cluster, hub, history);
  }

  acknowledge(): void {
    while (this.#outlet.fences.length > 0) this.#outlet.fences.shift()?.();
  }

  get isQuiet(): boolean {
    const { behind, waiting, pending } = this.server.figures;
    return behind + waiting + pending === 0 && this.#outlet.fences.length === 0;
  }

  async close(): Promise<void> {
    this.hub.handOver();
    await this.cluster.close();
  }
}
