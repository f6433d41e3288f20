/**
 * The topics that make the most work, over the last 30 to 60 seconds. Labels of metrics come from closed sets, so topics are in /status.
 *
 * The cost: the first EXACT_COUNT publications of each second are counted, and of those beyond it one in 256 on average, for 256.
 * `node build/bench/hot-topics.js`, on a loaded machine, if each topic is new: 1 us for one that is counted, and 11 ns for each beyond. That
 * is 0.05 % of a processor, and a thousandth of what a publication takes otherwise (more than 10 us).
 */
import type { Publication } from "../../protocol/publication.js";
import { abbreviate } from "../../util/abbreviate.js";
import type { Cancel, Clock } from "../../util/clock.js";
import { SpaceSaving } from "./space-saving.js";
import { TwoWindows } from "./two-windows.js";

/** Rates over the window; at least that many: what was counted before a topic was tracked is missing. */
export interface HotTopic {
  /** The first topic of the publications, abbreviated to 200 characters. */
  readonly topic: string;
  readonly publicationsPerSecond: number;
  /** Of the publications, counted once each. */
  readonly bytesPerSecond: number;
  /** Publications times the live clients that they were queued for. */
  readonly deliveriesPerSecond: number;
}

interface TopicCounters {
  publications: number;
  bytes: number;
  deliveries: number;
}

/** Topics that are tracked in one window. */
export const TRACKED_TOPIC_COUNT = 100;
const SHOWN_TOPIC_COUNT = 10;
const MAX_SHOWN_CHARACTERS = 200;
const SECOND_MS = 1000;
/** Publications that are counted one by one in each second. */
const EXACT_COUNT = 500;
/** Beyond them: publications for which one stands, on average. */
const SAMPLE_COUNT = 256;

const newSketch = () =>
  new SpaceSaving<TopicCounters>(TRACKED_TOPIC_COUNT, () => ({ publications: 0, bytes: 0, deliveries: 0 }));

export class HotTopics {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #windows: TwoWindows<SpaceSaving<TopicCounters>>;
  /** Publications that are still counted one by one in this second. */
  #exactLeft = 0;
  /** Publications up to the next one that is counted; Infinity = it is not started. */
  #untilSample = Number.POSITIVE_INFINITY;
  #cancel: Cancel | undefined;

  /** `random`: from 0 to 1, decides which publications stand for others. */
  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
    this.#windows = new TwoWindows(clock, newSketch);
  }

  /** Before it, publications are not counted. */
  start(): void {
    this.#exactLeft = EXACT_COUNT;
    this.#untilSample = 1;
    this.#cancel ??= this.#clock.every(SECOND_MS, () => {
      this.#exactLeft = EXACT_COUNT;
    });
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#exactLeft = 0;
    this.#untilSample = Number.POSITIVE_INFINITY;
  }

  /** `receivers`: live clients that it is queued for. Called for each publication: see the head of the file. */
  readonly published = (publication: Publication, receivers: number): void => {
    if (this.#exactLeft > 0) {
      this.#exactLeft--;
      this.#count(publication, receivers, 1);
    } else if (--this.#untilSample <= 0) {
      // Random, so that publishers that take turns are not always counted at the same one's turn.
      this.#untilSample = 1 + Math.floor(this.#random() * (2 * SAMPLE_COUNT - 1));
      this.#count(publication, receivers, SAMPLE_COUNT);
    }
  };

  /** The seconds that top() is about. */
  get windowSeconds(): number {
    return this.#windows.seconds;
  }

  /** The hottest first; those without deliveries follow by publications. */
  top(): HotTopic[] {
    const sum = new Map<string, TopicCounters>();
    for (const window of this.#windows.all) {
      for (const { key, counts } of window) {
        const { publications, bytes, deliveries } = sum.get(key) ?? { publications: 0, bytes: 0, deliveries: 0 };
        sum.set(key, {
          publications: publications + counts.publications,
          bytes: bytes + counts.bytes,
          deliveries: deliveries + counts.deliveries,
        });
      }
    }
    const seconds = Math.max(1, this.windowSeconds);
    return [...sum]
      .sort(([, a], [, b]) => b.deliveries + b.publications - (a.deliveries + a.publications))
      .slice(0, SHOWN_TOPIC_COUNT)
      .map(([topic, { publications, bytes, deliveries }]) => ({
        topic: abbreviate(topic, MAX_SHOWN_CHARACTERS),
        publicationsPerSecond: publications / seconds,
        bytesPerSecond: bytes / seconds,
        deliveriesPerSecond: deliveries / seconds,
      }));
  }

  #count({ topics, bytes }: Publication, receivers: number, times: number): void {
    const counts = this.#windows.current.add(topics[0] ?? "", times * (1 + receivers));
    counts.publications += times;
    counts.bytes += times * bytes.length;
    counts.deliveries += times * receivers;
  }
}
