/** Listeners of a program that embeds the daemon, by type of event. */
import type { DaemonEvent, EventOf, Observe } from "../hub/events.js";

type Listener = (event: DaemonEvent) => void;

export class EventListeners {
  readonly #byType = new Map<DaemonEvent["type"], Set<Listener>>();
  readonly #failed: (error: unknown) => void;

  /** `failed` takes what a listener throws: the other listeners and the daemon go on. */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** Returns what removes the listener. */
  on<Type extends DaemonEvent["type"]>(type: Type, listener: (event: EventOf<Type>) => void): () => void {
    const listeners = this.#byType.get(type) ?? new Set();
    this.#byType.set(type, listeners);
    // Its own object, so that a function which is registered twice is called twice.
    const registered: Listener = (event) => listener(event as EventOf<Type>);
    listeners.add(registered);
    return () => {
      listeners.delete(registered);
      if (listeners.size === 0 && this.#byType.get(type) === listeners) this.#byType.delete(type);
    };
  }

  readonly observe: Observe = (event) => {
    const listeners = this.#byType.get(event.type);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) {
      try {
        listener(event);
      } catch (error) {
        this.#failed(error);
      }
    }
  };
}
