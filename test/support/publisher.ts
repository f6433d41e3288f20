/** A publisher's PUSH socket. */
import { Push } from "zeromq";

export class Publisher {
  readonly #socket = new Push({ sendHighWaterMark: 0, linger: 0 });
  #last: Promise<void> = Promise.resolve();

  constructor(spec: string) {
    this.#socket.connect(spec);
  }

  /** Publishes data to a topic; two calls keep their order. */
  publish(data: string, topic = "test", fields?: Readonly<Record<string, unknown>>): Promise<void> {
    return this.send([topic, data, ...(fields ? [JSON.stringify(fields)] : [])]);
  }

  /** Sends the parts of one message as they are. */
  send(parts: readonly (string | Buffer)[]): Promise<void> {
    this.#last = this.#last.then(() => this.#socket.send([...parts]));
    return this.#last;
  }

  close(): void {
    this.#socket.close();
  }
}
