// The tables of the dashboard: a table has columns, each with a name and a function that gives the content of a row's cell.
import { element, figure } from "./chart.js";

const SHORT = { notation: "compact", maximumFractionDigits: 1 };
/** A limit that is used beyond this share is near. */
const NEAR_SHARE = 0.8;
const CRITICAL_SHARE = 0.95;

/** A cell: its content, and whether that is a number. null = an unknown number, undefined = an empty cell. */
function cell(value) {
  if (value === null || typeof value === "number") return [figure(value), true];
  return [value ?? "", value === undefined];
}

/**
 * Replaces a table's rows; the first cell of a row is its head. Columns of numbers are aligned to the right.
 * @param {readonly [name: string, of: (item: any) => string | number | null | undefined | Node][]} columns
 */
export function fill(table, columns, items) {
  const rows = items.map((item) => columns.map(([, of]) => cell(of(item))));
  const aligned = columns.map((_, at) => ({ class: rows.every((row) => row[at][1]) ? "number" : "text" }));
  const top = columns.map(([name], at) => element("th", { scope: "col", ...aligned[at] }, name));
  const lines = rows.map(([[head], ...rest]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, head),
      ...rest.map(([shown], at) => element("td", aligned[at + 1], shown)),
    ),
  );
  table.replaceChildren(element("thead", {}, element("tr", {}, ...top)), element("tbody", {}, ...lines));
}

export const stateOf = ({ live, silent }) => (live ? (silent ? "silent" : "live") : "down");
const MARK = { live: "open", silent: "connecting", down: "closed" };
export const SERVER = [
  ["Server", ({ name }) => name],
  ["State", (server) => element("span", { "data-state": MARK[stateOf(server)] }, stateOf(server))],
  ["Clients", ({ clients }) => clients],
  ["Catching up", ({ catchingUp }) => catchingUp],
  ["Fell behind", ({ fellBehind }) => fellBehind],
  ["Queued", ({ queuedBodies }) => queuedBodies],
  ["Deliveries/s", ({ deliveriesPerSecond }) => deliveriesPerSecond],
  ["Fence, ms", ({ fenceRoundTripMs }) => fenceRoundTripMs],
  ["Delay p50, ms", ({ lateness }) => lateness.p50Ms],
  ["Delay p99, ms", ({ lateness }) => lateness.p99Ms],
  ["Link losses", ({ linkLosses }) => linkLosses],
];

export const NODE = [
  ["Node", ({ name, self }) => `${name}${self ? " (this one)" : ""}`],
  ["Clients", ({ clients }) => clients],
  ["Mongrel2s", ({ mongrel2 }) => mongrel2 && mongrel2State(mongrel2)],
  ["Lag, events", ({ lag }) => lag],
  ["Last report", ({ heard, self }) => (self ? "" : `${figure(heard)} s ago`)],
  ["Position", ({ epoch, position }) => `${epoch}.${position}`],
  ["Version", ({ version }) => version],
];

const mongrel2State = ({ live, total }) =>
  element("span", { "data-state": live === total ? "open" : "closed" }, `${live} of ${total} live`);

/** "history_events" as words. */
const words = (name) => name.replaceAll("_", " ");
const number = (value) => (value < 100_000 ? figure(value) : value.toLocaleString(undefined, SHORT));

/** The history is full in normal operation: that is no warning. */
const isAlarming = (limit) => !limit.startsWith("history");
export const LIMIT = [
  ["Limit", ({ limit }) => words(limit)],
  ["Used", ({ used }) => number(used)],
  ["Maximum", ({ max }) => (max === null ? "none" : number(max))],
  ["Share", ({ limit, used, max }) => (max === null ? "" : meter(limit, used / max))],
];

function meter(limit, share) {
  const alarm = isAlarming(limit) ? { low: NEAR_SHARE, high: CRITICAL_SHARE, optimum: 0 } : {};
  const percent = `${figure(100 * share)} %`;
  const label = `${words(limit)}: ${percent}`;
  const bar = element("meter", { min: 0, max: 1, ...alarm, value: Math.min(1, share), "aria-label": label });
  return element("span", { class: "share" }, bar, element("span", {}, percent));
}

/** Gaps by reason and rejections by source and code, as rows; without those that never happened. */
export function lossesOf({ gaps, rejected }) {
  const rows = [
    ...Object.entries(gaps).map(([reason, count]) => ({ what: "gap", reason, count })),
    ...Object.entries(rejected).flatMap(([source, codes]) =>
      Object.entries(codes).map(([code, count]) => ({ what: `rejected over ${source}`, reason: words(code), count })),
    ),
  ];
  return rows.filter(({ count }) => count > 0);
}
export const LOSS = [
  ["What", ({ what }) => what],
  ["Reason", ({ reason }) => reason],
  ["Since the start", ({ count }) => count],
];

export const HOT_TOPIC = [
  ["Topic", ({ topic }) => topic],
  ["Events/s", ({ publicationsPerSecond }) => publicationsPerSecond],
  ["Deliveries/s", ({ deliveriesPerSecond }) => deliveriesPerSecond],
  ["Output", ({ bytesPerSecond }) => `${bytes(bytesPerSecond)}/s`],
];

export const SLOW_CLIENT = [
  ["Client", ({ server, id }) => `${server}/${id}`],
  ["Address", ({ remote }) => remote],
  ["Events behind", ({ eventsBehind }) => eventsBehind],
  ["Connected", ({ connectedSeconds }) => duration(connectedSeconds)],
  ["Topics", ({ topics }) => topics.join(" ")],
];

const WHAT = { connect: "connected", adopt: "resumed", disconnect: "disconnected" };
export const CONNECTION = [
  ["Time", ({ at: when }) => (when ? new Date(when).toLocaleTimeString() : "…")],
  ["Event", ({ event, skipped }) => (WHAT[event] ? element("span", { class: event }, WHAT[event]) : `${skipped} more`)],
  ["Reason", ({ reason, seconds }) => (reason === undefined ? "" : `${reason} after ${duration(seconds)}`)],
  ["Address", ({ remote }) => remote ?? ""],
  ["Topics", ({ topics = [] }) => topics.join(" ")],
  ["Client", ({ server, client }) => (server === undefined ? "" : `${server}/${client}`)],
  ["Clients after it", ({ clients }) => clients],
];

export const CONDITION = [
  ["Condition", ({ code, subject }) => `${words(code)}${subject && ` (${subject})`}`],
  ["Since", ({ since }) => new Date(since).toLocaleTimeString()],
  ["What", ({ message }) => message],
  ["Fix", ({ fix }) => fix],
];

export function bytes(value) {
  const unit = value < 1000 ? 0 : value < 1e6 ? 1 : value < 1e9 ? 2 : 3;
  return `${figure(value / 1000 ** unit)} ${["B", "kB", "MB", "GB"][unit]}`;
}

/** The two largest units. */
export function duration(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const first = parts.findIndex((part) => part > 0);
  const from = first < 0 ? 3 : first;
  return parts
    .map((part, unit) => `${part}${"dhms"[unit]}`)
    .slice(from, from + 2)
    .join(" ");
}
