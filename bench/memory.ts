/**
 * What a client costs the daemon in live objects, counted after a full garbage collection (resident memory, which scale.ts tells,
 * also holds what V8 has not given back, and the pages of the client store that are mapped).
 * `node --expose-gc build/bench/memory.js [clients]`.
 */

import type { Outlet } from "../src/delivery/outlet.js";
import { Registry } from "../src/delivery/registry.js";
import type { Interest } from "../src/matching/interest.js";
import { EVERYTHING_PUBLIC } from "../src/matching/interest.js";
import { replyHead } from "../src/protocol/reply.js";

const clients = Number(process.argv[2] ?? 500_000);
const MAX_TARGETS = 128;

const outlet = {
  maxTargets: MAX_TARGETS,
  address: (ids) => replyHead("54c6755b-9628-40a4-9a2d-cc82a816345e", ids, MAX_TARGETS),
} as Outlet;

const own = (id: number): Interest => ({
  selectors: ["news", `user/${id}`].map((value) => ({ kind: "exact", value })),
  grants: [],
});

console.table({
  "all follow everything": measure(() => EVERYTHING_PUBLIC),
  "each follows news and a topic of its own": measure(own),
});

/** Every client has an address of its own, as browsers have. */
function measure(interestOf: (id: number) => Interest) {
  const before = counted();
  const registry = new Registry(outlet, "http://hub.example/.well-known/mercure");
  for (let id = 1; id <= clients; id++) {
    const remote = `10.${id >> 16}.${(id >> 8) & 255}.${id & 255}`;
    const client = registry.add({ id, remote, interest: interestOf(id), since: performance.now() });
    client.audience.add(client);
  }
  const objects = counted() - before;
  let heads = 0;
  for (const audience of registry.audiences.values()) for (const head of audience.addresses()) heads += head.length;
  return {
    clients: registry.size,
    "bytes a client": Math.round(objects / clients),
    "bytes of frame heads": Math.round(heads / clients),
  };
}

/** Bytes on the heap and beside it that are in use. */
function counted(): number {
  if (!globalThis.gc) throw new Error("run it with node --expose-gc");
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
