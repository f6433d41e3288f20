/** The ZeroMQ door for publishers: messages from a bound PULL socket become publications. Bad ones are told and dropped. */
import { M2pushError, ProtocolError } from "../errors.js";
import { type Draft, parsePublication } from "../protocol/publication.js";

/** Where messages come from: a bound PULL socket. */
export interface Source {
  /** `refused`: a publisher was cut off. */
  start(receive: (parts: Buffer[]) => void, refused: (error: M2pushError) => void): Promise<void>;
  close(): Promise<void>;
}

export interface IngressOptions {
  readonly source: Source;
  /** See Bus.post. */
  readonly post: (draft: Draft) => Promise<unknown> | undefined;
  /** Whether a topic is in the hub's own namespace: nobody publishes there. */
  readonly isReserved: (topic: string) => boolean;
  /**
   * A message that is no publication, one that could not be kept, or bytes that are no message. There is nobody to answer: a PUSH
   * socket hears nothing.
   */
  readonly rejected: (error: M2pushError) => void;
}

export class Ingress {
  readonly #options: IngressOptions;
  /** What the last message waits for. */
  #underway: Promise<unknown> | undefined;

  constructor(options: IngressOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    return this.#options.source.start((parts) => this.#receive(parts), this.#options.rejected);
  }

  close(): Promise<void> {
    return this.#options.source.close();
  }

  #receive(parts: Buffer[]): void {
    try {
      const draft = parsePublication(parts);
      if (draft.topics.some(this.#options.isReserved)) throw reserved();
      const underway = this.#options.post(draft);
      if (underway === this.#underway) return;
      this.#underway = underway;
      underway?.catch((error) => this.#reject(error));
    } catch (error) {
      this.#reject(error);
    }
  }

  #reject(error: unknown): void {
    if (!(error instanceof M2pushError)) throw error;
    this.#options.rejected(error);
  }
}

const reserved = () => new ProtocolError("protocol.publication", "a topic is in the hub's own namespace");
