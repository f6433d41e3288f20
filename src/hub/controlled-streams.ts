/**
 * The streams whose topics can be changed while they are open, by their names. An entry lasts as long as its client, so the names are as many as
 * the clients at most. A stream that an earlier process or link opened is known from the client record; until it is adopted it is undecided.
 */
import type { Client } from "../delivery/client.js";
import type { ClientStore, StoredClient } from "../delivery/client-store.js";
import type { ServerDelivery, TopicChange } from "../delivery/server-delivery.js";
import type { StreamControl } from "../delivery/stream-control.js";
import { ProtocolError } from "../errors.js";
import { abbreviateName } from "../util/abbreviate.js";

/** When a request for an undecided stream may be repeated: an adoption mostly takes less. */
const UNDECIDED_RETRY_MS = 1000;

export interface OpenStream {
  readonly server: ServerDelivery;
  readonly client: Client;
}

/** Makes the change of a stream from its present state, between two publications. What it throws rejects the change. */
export type DecideChange = (stream: OpenStream) => TopicChange;

export interface ControlledStreamsOptions {
  readonly clients: Pick<ClientStore, "written">;
  /** Changes a client. Returns the offset from which the change holds. */
  readonly apply: (stream: OpenStream, change: TopicChange) => number;
}

interface Entry {
  readonly control: StreamControl;
  /** Undefined: whether the connection is still the same is not decided yet. */
  readonly stream: OpenStream | undefined;
}

export class ControlledStreams {
  readonly #options: ControlledStreamsOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: ControlledStreamsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A client is connected, or adopted. */
  add(server: ServerDelivery, client: Client): void {
    const { control } = client;
    if (control) this.#entries.set(control.name, { control, stream: { server, client } });
  }

  /** Clients may still be connected: see Hub.expect(). */
  expect(clients: readonly StoredClient[]): void {
    for (const { control } of clients) if (control) this.#entries.set(control.name, { control, stream: undefined });
  }

  remove({ control }: Pick<StoredClient, "control">): void {
    if (control) this.#entries.delete(control.name);
  }

  /**
   * What is known of a stream. Throws "not_found" if there is none of this name, or if it belongs to another principal. `owner`: of the caller;
   * undefined = it has no token.
   */
  find(name: string, owner: string | undefined): StreamControl {
    return this.#find(name, owner).control;
  }

  /**
   * Changes the topics of a stream. Resolves with the offset from which the change holds, when the client record has it. Rejects with
   * "not_found" as find() does; "unavailable" while the stream is undecided; "storage_failed" if the change holds but is not recorded;
   * and with what `decide` throws. Requests for one stream are carried out in the order of the calls.
   */
  async change(name: string, owner: string | undefined, decide: DecideChange): Promise<number> {
    const { server } = this.#open(name, owner);
    const offset = await new Promise<number>((resolve, reject) => {
      server.betweenFlushes(() => {
        try {
          const stream = this.#open(name, owner);
          resolve(this.#options.apply(stream, decide(stream)));
        } catch (error) {
          reject(error);
        }
      });
    });
    await this.#options.clients.written();
    return offset;
  }

  #open(name: string, owner: string | undefined): OpenStream {
    const { stream } = this.#find(name, owner);
    if (stream) return stream;
    const retryAfterMs = UNDECIDED_RETRY_MS;
    throw new ProtocolError("unavailable", "the stream is being restored; fix: try again", { retryAfterMs });
  }

  #find(name: string, owner: string | undefined): Entry {
    const entry = this.#entries.get(name);
    const isOwn = entry && (entry.control.owner === undefined || entry.control.owner === owner);
    if (isOwn) return entry;
    throw new ProtocolError("not_found", `there is no stream ${abbreviateName(name)} that this client may change`);
  }
}
