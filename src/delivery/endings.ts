/**
 * Topics that have ended: their newest event is final. The clients that follow such a topic and nothing else are closed once they have been
 * sent everything. An audience is ended as a whole; those of its clients that still catch up are closed when they join it.
 */
import { onlyTopicOf } from "../matching/interest.js";
import type { Publication } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";
import type { Audience } from "./audience.js";
import type { Client } from "./client.js";

export interface EndingsOptions {
  readonly clock: Clock;
  /** Closes the streams of some clients, after what was sent to them; must take them out of their audiences. */
  readonly close: (clients: readonly Client[]) => void;
}

/** Clients that are closed in one turn of the event loop. */
const MAX_CLOSED_CLIENTS = 256;

export class Endings {
  readonly #options: EndingsOptions;
  /** Audiences whose one topic has ended. */
  readonly #audiences = new Set<Audience<Client>>();
  #isPausing = false;

  constructor(options: EndingsOptions) {
    this.#options = options;
  }

  /** These audiences get a publication, which ends their topic or begins it again. */
  published({ isFinal, topics }: Publication, audiences: readonly Audience<Client>[]): void {
    if (!isFinal && this.#audiences.size === 0) return;
    for (const audience of audiences) {
      const topic = onlyTopicOf(audience.interest);
      if (isFinal && topic !== undefined && topics.includes(topic)) this.#audiences.add(audience);
      else this.#audiences.delete(audience);
    }
  }

  /** The topic of an audience had ended before its first client came. */
  add(audience: Audience<Client>): void {
    this.#audiences.add(audience);
  }

  /** Closes the clients that have been sent everything; called whenever some may have. */
  close(): void {
    if (this.#isPausing) return;
    const clients: Client[] = [];
    for (const audience of this.#audiences) {
      if (audience.clients === 0) this.#audiences.delete(audience);
      else if (audience.waiting.length === 0)
        clients.push(...audience.members.slice(0, MAX_CLOSED_CLIENTS - clients.length));
    }
    if (clients.length === 0) return;
    this.#options.close(clients);
    if (clients.length === MAX_CLOSED_CLIENTS) this.#pause();
  }

  /** Nothing is known of topics any more. */
  clear(): void {
    this.#audiences.clear();
  }

  #pause(): void {
    this.#isPausing = true;
    this.#options.clock.after(0, () => {
      this.#isPausing = false;
      this.close();
    });
  }
}
