/** A hub with clients of many kinds, and the admin side's view of it. */

import type { Subscriber } from "../../../src/delivery/subscriber.js";
import type { Interest } from "../../../src/matching/interest.js";
import { canonical, parseSelector } from "../../../src/matching/selector.js";
import { ClientList } from "../../../src/observability/admin/client-list.js";
import { type Bench, type BenchOptions, bench } from "../../support/hub.js";

export const BASE = "http://hub.example/.well-known/mercure";

export const interest = (topics: readonly string[], grants: readonly string[] = []): Interest => {
  const selectors = (words: readonly string[]) => canonical(words.map((word) => parseSelector("template", word, BASE)));
  return { selectors: selectors(topics), grants: selectors(grants) };
};

export const subscriber = (id: string, subject?: string): Subscriber => ({
  id: `urn:uuid:${id}`,
  subscriptions: [],
  ...(subject !== undefined && { subject }),
});

export async function operated(options?: BenchOptions): Promise<Bench & { readonly clients: ClientList }> {
  const parts = await bench(options);
  const { hub, clock, history } = parts;
  const servers = () => [...hub.servers];
  return { ...parts, clients: new ClientList({ hub, servers, epoch: () => history.epoch, base: BASE, clock }) };
}
