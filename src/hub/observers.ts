/** Hands each event to all observers, in their order. */
import type { Observe } from "./events.js";

/**
 * `failed` takes what an observer throws, which is a programmer's error: the other observers still get the event, and the part that
 * emitted it goes on.
 */
export function combineObservers(observers: readonly Observe[], failed: (error: unknown) => void): Observe {
  return (event) => {
    for (const observe of observers) {
      try {
        observe(event);
      } catch (error) {
        failed(error);
      }
    }
  };
}
