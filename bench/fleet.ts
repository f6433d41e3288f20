/**
 * A fleet of Mongrel2s that hold no connections: each says that browsers came, counts what it is told to write to them, passes
 * fences, and answers the control port with the table of its connections. A process of its own, started by scale.ts with
 * `servers` and `clients` (of each) as arguments; it talks to its parent in messages.
 */
import { Pull, Push, Reply, Subscriber } from "zeromq";
import { encode } from "../src/protocol/tnetstring.js";
import { disconnectNotice, requestMessage } from "../test/support/mongrel2-messages.js";
import { freePort } from "../test/support/ports.js";

export interface FleetServer {
  readonly sendSpec: string;
  readonly recvSpec: string;
  readonly control: string;
  readonly sendIdent: string;
}

/** To the parent. */
export type FleetReport =
  | { readonly kind: "up"; readonly servers: readonly FleetServer[] }
  /** Every connection was written to since it was last told to count; `at` is by the machine's monotonic clock, milliseconds. */
  | {
      readonly kind: "written";
      readonly frames: number;
      readonly bytes: number;
      readonly first: number;
      readonly at: number;
    };

/** From the parent: connect everybody; or restart the count. */
export type FleetOrder = "connect" | "count" | "stop";

const [servers, clients] = process.argv.slice(2).map(Number) as [number, number];
const FENCES = 2_000_000_000;
const now = () => Number(process.hrtime.bigint()) / 1e6;
const tell = (report: FleetReport) => process.send?.(report);

let [left, frames, bytes, first] = [0, 0, 0, 0];

function count(): void {
  [left, frames, bytes, first] = [servers * clients, 0, 0, 0];
}

/** A frame of an event: "ident length:ids, body". */
function written(frame: Buffer, from: number, end: number): void {
  if (frames === 0) first = now();
  frames++;
  bytes += frame.length;
  let ids = 1;
  for (let at = from; at < end; at++) if (frame[at] === 0x20) ids++;
  left -= ids;
  if (left === 0) tell({ kind: "written", frames, bytes, first, at: now() });
}

class Server {
  readonly #push = new Push({ sendHighWaterMark: 0, linger: 0 });
  readonly #sub = new Subscriber({ receiveHighWaterMark: 0 });
  readonly #rep = new Reply({ linger: 0 });
  readonly #notices = new Pull();
  readonly #ident: string;
  #queue: Buffer[] = [];
  #sending = false;
  #opened = 0;

  constructor(ident: string) {
    this.#ident = ident;
  }

  async start(): Promise<FleetServer> {
    const bind = async (socket: { bind(spec: string): Promise<void> }) => {
      const spec = `tcp://127.0.0.1:${await freePort()}`;
      await socket.bind(spec);
      return spec;
    };
    const sendSpec = await bind(this.#push);
    this.#sub.subscribe();
    const recvSpec = await bind(this.#sub);
    const control = await bind(this.#rep);
    void this.#receive();
    void this.#answer();
    return { sendSpec, recvSpec, control, sendIdent: this.#ident };
  }

  connect(): void {
    this.#opened = performance.now();
    for (let id = 1; id <= clients; id++) this.#queue.push(requestMessage("json", this.#ident, id));
    void this.#send();
  }

  stop(): void {
    for (const socket of [this.#push, this.#sub, this.#rep, this.#notices]) socket.close();
  }

  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    for (let at = 0; at < this.#queue.length; at++) await this.#push.send(this.#queue[at] ?? "");
    this.#queue = [];
    this.#sending = false;
  }

  async #receive(): Promise<void> {
    for await (const [frame] of this.#sub) {
      if (!frame) continue;
      const colon = frame.indexOf(":");
      const length = Number(frame.toString("latin1", frame.indexOf(" ") + 1, colon));
      if (frame[colon + 1] !== 0x58 /* X */) {
        if (frame.length > colon + length + 3) written(frame, colon + 1, colon + 1 + length);
        continue;
      }
      const id = Number(frame.toString("latin1", colon + 3, colon + 1 + length));
      if (id > FENCES) {
        this.#queue.push(disconnectNotice("json", this.#ident, id));
        void this.#send();
      }
    }
  }

  /** `status net`: everybody was last read from when they connected. */
  async #answer(): Promise<void> {
    const headers = ["id", "fd", "type", "last_ping", "last_read", "last_write", "bytes_read", "bytes_written"];
    for await (const _ of this.#rep) {
      const age = this.#opened === 0 ? 0 : Math.floor((performance.now() - this.#opened) / 1000);
      const row = (id: number) => [id, id, 1, 0, age, 0, 200, 400];
      const rows = this.#opened === 0 ? [] : Array.from({ length: clients }, (_, at) => row(at + 1));
      await this.#rep.send(encode(new Map<string, never>([["headers", headers] as never, ["rows", rows] as never])));
    }
  }
}

const all = Array.from({ length: servers }, (_, at) => new Server(`fleet-${at + 1}`));
process.on("message", (order: FleetOrder) => {
  if (order === "stop") {
    for (const server of all) server.stop();
    process.disconnect?.();
  } else {
    count();
    if (order === "connect") for (const server of all) server.connect();
  }
});
tell({ kind: "up", servers: await Promise.all(all.map((server) => server.start())) });
