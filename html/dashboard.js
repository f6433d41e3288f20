// The operator's dashboard: reads the daemon's event stream of state reports, one a second (src/observability/admin/dashboard-stream.ts), and
// draws it. The token, where one is required, goes into a header and never into an address. Screen readers get the changes of
// state (role="status") and the tables.
import { Chart, element, figure, MAX_SPAN_MS, minutesOf } from "./chart.js";

/** A report arrives each second: without one for this long the page reconnects. */
const REPORT_TIMEOUT_MS = 5000;
/** Reconnect delay: the first, doubled up to the largest. */
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 10_000;
const MAX_SHOWN_CONNECTIONS = 50;
/** Between two rows of the table of figures. */
const ROW_INTERVAL_MS = 10_000;
const TOKEN = "m2push-token";

const at = (id) => document.getElementById(id);
const feed = document.documentElement.dataset.feed;
/** @type {{ at: number, status: object }[]} */
let samples = [];
let connections = [];
let lastId = "";
let paused = false;
let known = { text: "", servers: new Map() };

const slowest = (of) => (sample) => {
  const values = sample.status.servers.map(of).filter((value) => value !== null);
  return values.length > 0 ? Math.max(...values) : null;
};
const rate = (name) => (sample) => sample.status.perSecond[name];
const FIGURES = {
  clients: { name: "clients", of: ({ status }) => status.clients },
  events: { name: "events/s", of: rate("publications") },
  deliveries: { name: "deliveries/s", of: rate("deliveries") },
  fence: { name: "fence round trip", unit: ", ms", of: slowest((server) => server.fenceRoundTripMs) },
  delay: { name: "publish to fence", unit: ", ms", of: slowest((server) => server.publishToFenceMs) },
  connects: { name: "connects", unit: "/s", of: rate("connects") },
  disconnects: { name: "disconnects", unit: "/s", of: rate("disconnects") },
  lag: { name: "event loop lag", unit: ", ms", of: ({ status }) => status.eventLoopLagMs },
};
const charts = [
  new Chart("Clients", "", [FIGURES.clients]),
  new Chart("Events a second", "", [FIGURES.events]),
  new Chart("Deliveries a second", "", [FIGURES.deliveries]),
  new Chart("Delay, ms", "", [FIGURES.fence, FIGURES.delay]),
  new Chart("Connects and disconnects a second", "", [FIGURES.connects, FIGURES.disconnects]),
  new Chart("Event loop lag, ms", "", [FIGURES.lag]),
];

// ---- Event stream --------------------------------------------------------------------------------------------------------------

/** The events of a stream with data and id; the part of the standard that the daemon uses. */
async function* eventsOf(body) {
  let rest = "";
  let event = { id: "", data: "" };
  for await (const text of pieces(body.pipeThrough(new TextDecoderStream()))) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      if (name === "id" || name === "data") event[name] += value;
      if (line !== "") continue;
      if (event.data !== "") yield event;
      event = { id: "", data: "" };
    }
  }
}

/** Not every browser can iterate over a stream. */
async function* pieces(stream) {
  const reader = stream.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) yield piece.value;
}

/** Reads until the connection ends. Returns "ended", or "token" where one is required; throws an error whose message is for the operator. */
async function watch() {
  const timeout = new AbortController();
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...(lastId && { "Last-Event-ID": lastId }) };
  let timer = setTimeout(() => timeout.abort(), REPORT_TIMEOUT_MS);
  try {
    const response = await fetch("events", { headers, cache: "no-store", signal: timeout.signal });
    if (response.status === 401) return "token";
    if (!response.ok) throw new Error((await response.text()).trim());
    for await (const { id, data } of eventsOf(response.body)) {
      clearTimeout(timer);
      timer = setTimeout(() => timeout.abort(), REPORT_TIMEOUT_MS);
      lastId = id;
      take(JSON.parse(data));
    }
    return "ended";
  } finally {
    clearTimeout(timer);
  }
}

/** Reads the stream without end, and reconnects. */
async function follow() {
  at("enter").hidden = true;
  for (let delay = FIRST_RETRY_MS; ; delay = Math.min(2 * delay, MAX_RETRY_MS)) {
    const before = samples.length;
    const why = await watch().catch((error) =>
      error instanceof TypeError || error.name === "AbortError" ? "ended" : error.message,
    );
    if (why === "token") return ask("The token is not accepted.");
    if (samples.length > before) delay = FIRST_RETRY_MS;
    known = { text: "", servers: new Map() };
    state("connecting");
    say(why === "ended" ? "The daemon does not respond. Retrying." : why);
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

function ask(why) {
  sessionStorage.removeItem(TOKEN);
  say(why);
  at("board").hidden = true;
  at("enter").hidden = false;
  at("token").focus();
}

// ---- Announcements ----------------------------------------------------------------------------------------------------------

/** Shown, and read out by screen readers: only for rare changes. */
function say(text, reasons = []) {
  const shown = [text, ...reasons].join("\n");
  if (at("said").dataset.text === shown) return;
  at("said").dataset.text = shown;
  const list = element("ul", { class: "notice" }, ...reasons.map((reason) => element("li", {}, reason)));
  at("said").replaceChildren(element("p", {}, text), ...(reasons.length > 0 ? [list] : []));
}

function take({ status, connections: latest, skipped }) {
  const now = Date.now();
  samples = [...samples.filter((sample) => now - sample.at < MAX_SPAN_MS), { at: now, status }];
  if (skipped > 0) latest.unshift({ event: "skipped", skipped });
  connections = [...latest.reverse(), ...connections].slice(0, MAX_SHOWN_CONNECTIONS);
  announce(status);
  at("board").hidden = false;
  if (!paused) show(now, latest.length > 0);
}

/** Announces changes of readiness and of servers. */
function announce({ ready, notReadyReasons, servers }) {
  const states = servers.map((server) => [server.name, stateOf(server)]);
  const changed = states.filter(([name, state]) => known.servers.get(name) !== state);
  const text = ready ? "ready" : notReadyReasons.join("\n");
  if (text !== known.text || changed.length > 0) {
    const changes = changed.map(([name, state]) => `${name} is ${state}`).join(", ");
    if (ready) say(`The daemon is ready${changes && `; ${changes}`}.`);
    else say("The daemon is not ready:", notReadyReasons);
  }
  known = { text, servers: new Map(states) };
}

const stateOf = ({ live, silent }) => (live ? (silent ? "silent" : "live") : "down");

// ---- Display ---------------------------------------------------------------------------------------------------------

function state(name) {
  const field = at("state");
  if (!field) return;
  field.textContent = name;
  field.dataset.state = name === "ready" ? "open" : name === "connecting" ? "connecting" : "closed";
}

function show(now, isChanged) {
  const { status } = samples.at(-1);
  facts(status);
  const minutes = minutesOf(samples, now);
  at("charts-title").textContent = minutes === 1 ? "The last minute" : `The last ${minutes} minutes`;
  for (const chart of charts) chart.draw(samples, now);
  fill(at("servers"), SERVER, status.servers);
  if (isChanged || at("connections").rows.length === 0) fill(at("connections"), CONNECTION, connections);
  at("no-connections").hidden = connections.length > 0;
  if (at("figures").open) figures(now);
}

function facts(status) {
  const { clients, catchingUp, perSecond, uptimeSeconds, history, m2push, pid } = status;
  const rows = [
    ["Clients", figure(clients)],
    ["Catching up", figure(catchingUp)],
    ["Events/s", figure(perSecond.publications)],
    ["Deliveries/s", figure(perSecond.deliveries)],
    ["Output", `${bytes(perSecond.bytes)}/s`],
    ["History", history ? `${figure(history.count)} events` : "not open"],
    ["Uptime", duration(uptimeSeconds)],
  ];
  const field = element("dd", {}, element("span", { id: "state" }));
  const cells = rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  at("facts").replaceChildren(element("div", {}, element("dt", {}, "State"), field), ...cells);
  state(status.ready ? "ready" : "not ready");
  at("about").textContent = `m2push ${m2push}, process ${pid}: live state, updated every second.`;
}

/** A cell: its content, and whether that is a number. null = an unknown number, undefined = an empty cell. */
function cell(value) {
  if (value === null || typeof value === "number") return [figure(value), true];
  return [value ?? "", value === undefined];
}

/**
 * Replaces a table's rows; the first cell of a row is its head. Columns of numbers are aligned to the right.
 * @param {readonly [name: string, of: (item: any) => string | number | null | undefined | Node][]} columns
 */
function fill(table, columns, items) {
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

const MARK = { live: "open", silent: "connecting", down: "closed" };
const SERVER = [
  ["Server", ({ name }) => name],
  ["State", (server) => element("span", { "data-state": MARK[stateOf(server)] }, stateOf(server))],
  ["Clients", ({ clients }) => clients],
  ["Catching up", ({ catchingUp }) => catchingUp],
  ["Queued", ({ queuedBodies }) => queuedBodies],
  ["Deliveries/s", ({ deliveriesPerSecond }) => deliveriesPerSecond],
  ["Fence, ms", ({ fenceRoundTripMs }) => fenceRoundTripMs],
  ["Delay, ms", ({ publishToFenceMs }) => publishToFenceMs],
  ["Link losses", ({ losses }) => losses],
];

const WHAT = { connect: "connected", adopt: "resumed", disconnect: "disconnected" };
const CONNECTION = [
  ["Time", ({ at: when }) => (when ? new Date(when).toLocaleTimeString() : "…")],
  ["Event", ({ event, skipped }) => (WHAT[event] ? element("span", { class: event }, WHAT[event]) : `${skipped} more`)],
  ["Reason", ({ reason, seconds }) => (reason === undefined ? "" : `${reason} after ${duration(seconds)}`)],
  ["Address", ({ remote }) => remote ?? ""],
  ["Topics", ({ topics = [] }) => topics.join(" ")],
  ["Client", ({ server, client }) => (server === undefined ? "" : `${server}/${client}`)],
  ["Clients after it", ({ clients }) => clients],
];

const MOMENT = [
  ["Time", (sample) => new Date(sample.at).toLocaleTimeString()],
  ...Object.values(FIGURES).map(({ name, unit = "", of }) => [name + unit, of]),
];
/** One row for each ten seconds, the newest first. */
function figures(now) {
  const rows = [];
  for (let end = now; end > now - MAX_SPAN_MS; end -= ROW_INTERVAL_MS) {
    const sample = samples.findLast((it) => it.at <= end && it.at > end - ROW_INTERVAL_MS);
    if (sample) rows.push(sample);
  }
  fill(at("figures").querySelector("table"), MOMENT, rows);
}

function bytes(value) {
  const unit = value < 1000 ? 0 : value < 1e6 ? 1 : value < 1e9 ? 2 : 3;
  return `${figure(value / 1000 ** unit)} ${["B", "kB", "MB", "GB"][unit]}`;
}

/** The two largest units. */
function duration(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const first = parts.findIndex((part) => part > 0);
  const from = first < 0 ? 3 : first;
  return parts
    .map((part, unit) => `${part}${"dhms"[unit]}`)
    .slice(from, from + 2)
    .join(" ");
}

// ---- Start -----------------------------------------------------------------------------------------------------------------

at("charts").append(...charts.map((chart) => chart.figure));
at("figures").addEventListener("toggle", () => samples.length > 0 && figures(Date.now()));
at("pause").addEventListener("click", ({ currentTarget: button }) => {
  paused = !paused;
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? "Resume" : "Pause";
  if (!paused && samples.length > 0) show(Date.now(), true);
});
at("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, at("token").value.trim());
  at("token").value = "";
  say("");
  void follow();
});

if (feed === "none") at("unfed").hidden = false;
else if (feed === "token" && !sessionStorage.getItem(TOKEN)) ask("");
else void follow();
