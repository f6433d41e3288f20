/** What a daemon is to NATS, with a listener in the place of its hub; and load. */
import type { TestContext } from "node:test";
import { natsDial } from "../../src/cluster/nats.js";
import type { NatsOptions } from "../../src/cluster/nats-connection.js";
import type { Publication } from "../../src/protocol/publication.js";
import { systemClock } from "../../src/util/clock.js";
import { type Listener, listen } from "../contract/bus.js";
import { natsOptions, openEnd } from "./course.js";

export async function daemon(t: TestContext, url: string, more: Partial<NatsOptions> = {}) {
  const end = await openEnd(t, natsDial(natsOptions(url, more), systemClock));
  return Object.assign(await listen({ open: async () => end }), { opened: end });
}

/** Publishes one after the other, each its own text, until it is told to stop; resolves with what was acknowledged. */
export function load(listener: Listener, name: string): { stop(): Promise<Publication[]> } {
  let goes = true;
  let count = 0;
  const run = async () => {
    const acknowledged: Publication[] = [];
    const one = () =>
      listener.publish(`${name} ${++count}`).then((publication) => acknowledged.push(publication), refused);
    const refused = () => {}; // who published it knows
    const underway: Promise<unknown>[] = [];
    while (goes) {
      underway.push(one());
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await Promise.all(underway);
    return acknowledged;
  };
  const running = run();
  return {
    stop() {
      goes = false;
      return running;
    },
  };
}
