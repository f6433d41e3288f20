/**
 * What counting hot topics costs a publication: one that is counted (the first 500 of a second) and one that is not (nearly all beyond).
 * `node build/bench/hot-topics.js`
 */
import { HotTopics } from "../src/observability/metrics/hot-topics.js";
import type { Publication } from "../src/protocol/publication.js";
import { FakeClock } from "../test/support/clock.js";

const ROUNDS = 2000;
const EXACT_COUNT = 500;
const BEYOND_COUNT = 20_000;
const TOPICS = 10_000;

const publications = Array.from(
  { length: TOPICS },
  (_, at): Publication => ({
    offset: at,
    id: "",
    topics: [`https://example.com/users/${at}/notifications`],
    private: false,
    time: 0,
    bytes: Buffer.alloc(100),
  }),
);
const clock = new FakeClock();
const hot = new HotTopics(clock, Math.random);
hot.start();
let next = 0;
const measure = (count: number): number => {
  const from = process.cpuUsage();
  for (let at = 0; at < count; at++) {
    // Steps through the topics in an order in which nearly each one is new to the list: the worst case.
    next = (next + 7919) % TOPICS;
    hot.published(publications[next] as Publication, 3);
  }
  const { user, system } = process.cpuUsage(from);
  return user + system;
};
let [exact, beyond] = [0, 0];
for (let round = 0; round < ROUNDS; round++) {
  clock.advance(1000);
  exact += measure(EXACT_COUNT);
  beyond += measure(BEYOND_COUNT);
}
const nanoseconds = (us: number, count: number) => ((us * 1e3) / (ROUNDS * count)).toFixed(1);
console.log(`counted: ${nanoseconds(exact, EXACT_COUNT)} ns; beyond: ${nanoseconds(beyond, BEYOND_COUNT)} ns`);
