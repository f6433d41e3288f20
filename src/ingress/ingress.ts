/** The ZeroMQ door for publishers: messages from a bound PULL socket become publications. Bad ones are told and dropped. */
import { M2pushError, ProtocolError } from "../errors.js";
import { type Draft, parsePublication } from "../protocol/publication.js";

/** What the socket for publishers tells. */
interface SourceReceiver extends SocketObserver {
  /** Returns whether it was a publication. */
  message(parts: Buffer[]): boolean;
}

/** Who is told of what happens to the socket for publishers and its connections. */
export interface SocketObserver {
  /** A publisher was cut off. `remote`: its address and port, "" = none. */
  refused(error: M2pushError, remote: string): void;
  /** No connection can be taken. Told once, until recovered(). */
  failed(error: LinkFailure): void;
  recovered(): void;
  /** A connection has ended with an error. */
  broken(error: LinkFailure): void;
}

/** An error of a socket, in two halves. */
interface LinkFailure extends M2pushError {
  readonly address: string;
  readonly what: string;
  readonly fix: string;
}

/** Where messages come from: a bound PULL socket. */
interface Source {
  start(receiver: SourceReceiver): Promise<void>;
  close(): Promise<void>;
}

export interface IngressOptions {
  readonly source: Source;
  /** See Bus.post. */
  readonly post: (draft: Draft) => Promise<unknown> | undefined;
  /** Whether a topic is in the hub's own namespace: nobody publishes there. */
  readonly isReserved: (topic: string) => boolean;
  /**
   * A message that is no publication, or one that could not be kept. There is nobody to answer: a PUSH socket hears nothing.
   */
  readonly rejected: (error: M2pushError) => void;
  readonly observer: SocketObserver;
}

export class Ingress {
  readonly #options: IngressOptions;
  /** What the last message waits for. */
  #underway: Promise<unknown> | undefined;

  constructor(options: IngressOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    const { source, observer } = this.#options;
    return source.start({
      message: (parts) => this.#receive(parts),
      refused: (error, remote) => observer.refused(error, remote),
      failed: (error) => observer.failed(error),
      recovered: () => observer.recovered(),
      broken: (error) => observer.broken(error),
    });
  }

  close(): Promise<void> {
    return this.#options.source.close();
  }

  #receive(parts: Buffer[]): boolean {
    try {
      const draft = parsePublication(parts);
      if (draft.topics.some(this.#options.isReserved)) throw reserved();
      const underway = this.#options.post(draft);
      if (underway !== this.#underway) {
        this.#underway = underway;
        underway?.catch((error) => this.#reject(error));
      }
      return true;
    } catch (error) {
      this.#reject(error);
      return !(error instanceof ProtocolError);
    }
  }

  #reject(error: unknown): void {
    if (!(error instanceof M2pushError)) throw error;
    this.#options.rejected(error);
  }
}

const reserved = () => new ProtocolError("invalid", "a topic is in the hub's own namespace");
