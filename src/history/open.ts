/** Opens the history that the configuration asks for. */
import type { History } from "../hub/ports.js";
import type { Clock } from "../util/clock.js";
import { MemoryHistory } from "./memory.js";

export async function openHistory(
  o: { store: string; path: string; durability: string; maxEvents: number; maxAge: number; maxBytes: number },
  clock: Clock,
): Promise<History> {
  return new MemoryHistory(o, clock);
}
