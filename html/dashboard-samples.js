// The figures that the dashboard draws: the daemon keeps those of the last hour (src/observability/admin/last-hour.ts) and sends them when
// the page connects; the page adds one each second. Gaps and rejections are counts since the daemon began: a chart shows their increase.
import { Chart } from "./chart.js";

/** The page keeps as much as the daemon: each second for this long, and one sample of each ten seconds for the hour before. */
const FINE_SPAN_MS = 5 * 60_000;
const MAX_SPAN_MS = 60 * 60_000 + FINE_SPAN_MS;
const COARSE_INTERVAL_MS = 10_000;

const largest = (servers, name) => {
  const known = servers.map((server) => server[name]).filter((value) => value !== null);
  return known.length > 0 ? Math.max(...known) : null;
};
const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);

/** The same figures as src/observability/admin/last-hour.ts. */
function sampleOf({ clients, perSecond, servers, eventLoopLagMs, losses }, at) {
  return {
    at,
    clients,
    ...perSecond,
    fenceRoundTripMs: largest(servers, "fenceRoundTripMs"),
    publishToFenceMs: largest(servers, "publishToFenceMs"),
    eventLoopLagMs,
    gaps: sum(losses.gaps),
    rejections: Object.values(losses.rejected).reduce((total, reasons) => total + sum(reasons), 0),
  };
}

export class Samples {
  /** Oldest first, each with `at`: milliseconds since 1970 by the clock of the browser. */
  #samples = [];

  get isEmpty() {
    return this.#samples.length === 0;
  }

  /** Takes what the daemon has kept; what this page has from before that stays: another process may have sent it. */
  takeHour({ figures, samples }, now) {
    const kept = samples.map(([age, ...values]) => {
      const sample = Object.fromEntries(figures.map((name, index) => [name, values[index]]));
      return { ...sample, at: now - 1000 * age };
    });
    const first = kept[0]?.at ?? now;
    this.#samples = [...this.#samples.filter(({ at }) => at < first), ...kept];
  }

  add(status, now) {
    this.#samples.push(sampleOf(status, now));
    this.#thin(now);
  }

  /** Those of the last milliseconds; `lost` and `rejected` are the increase since the sample before, a second. */
  last(spanMs, now) {
    let before;
    return this.#samples.flatMap((sample) => {
      const seconds = before && (sample.at - before.at) / 1000;
      const increase = (name) => (seconds > 0 ? Math.max(0, sample[name] - before[name]) / seconds : null);
      const drawn = { ...sample, lost: increase("gaps"), rejected: increase("rejections") };
      before = sample;
      return now - sample.at < spanMs ? [drawn] : [];
    });
  }

  #thin(now) {
    let slot;
    this.#samples = this.#samples.filter(({ at }) => {
      const age = now - at;
      if (age <= FINE_SPAN_MS) return true;
      const own = Math.floor(at / COARSE_INTERVAL_MS);
      const isFirst = own !== slot;
      slot = own;
      return isFirst && age < MAX_SPAN_MS;
    });
  }
}

const line =
  (name) =>
  ({ [name]: value }) =>
    value;
/** The lines of the charts, and the columns of the table of figures. */
export const FIGURES = {
  clients: { name: "clients", of: line("clients") },
  events: { name: "events/s", of: line("publications") },
  deliveries: { name: "deliveries/s", of: line("deliveries") },
  output: { name: "output", unit: ", kB/s", of: ({ bytes }) => bytes / 1000 },
  fence: { name: "fence round trip", unit: ", ms", of: line("fenceRoundTripMs") },
  delay: { name: "publish to fence", unit: ", ms", of: line("publishToFenceMs") },
  connects: { name: "connects", unit: "/s", of: line("connects") },
  disconnects: { name: "disconnects", unit: "/s", of: line("disconnects") },
  lag: { name: "event loop lag", unit: ", ms", of: line("eventLoopLagMs") },
  gaps: { name: "gaps", unit: "/s", of: line("lost") },
  rejections: { name: "rejections", unit: "/s", of: line("rejected") },
};

export const newCharts = () => [
  new Chart("Clients", "", [FIGURES.clients]),
  new Chart("Events a second", "", [FIGURES.events]),
  new Chart("Deliveries a second", "", [FIGURES.deliveries]),
  new Chart("Output, kB a second", "", [FIGURES.output]),
  new Chart("Delay, ms", "", [FIGURES.fence, FIGURES.delay]),
  new Chart("Connects and disconnects a second", "", [FIGURES.connects, FIGURES.disconnects]),
  new Chart("Gaps and rejected events a second", "", [FIGURES.gaps, FIGURES.rejections]),
  new Chart("Event loop lag, ms", "", [FIGURES.lag]),
];
