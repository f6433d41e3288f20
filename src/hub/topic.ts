/** Topics and the selectors that clients ask for them with. */
import type { Publication } from "../protocol/publication.js";

/** What a client asked for: one or more selectors, sorted, each once. A publication is wanted if any of them matches. */
export type Selectors = readonly string[];

/** Every topic. */
export const ALL: Selectors = ["*"];

/** One text for one set of selectors: clients with the same signature share an audience. */
export function signature(selectors: Selectors): string {
  return selectors.join("\n");
}

/** Whether a client with these selectors, and no grant, gets the publication: private ones are for holders of a grant. */
export function matches(selectors: Selectors, publication: Publication): boolean {
  if (publication.private) return false;
  return selectors.some((selector) => selector === "*" || publication.topics.includes(selector));
}
