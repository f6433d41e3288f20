// The operator's dashboard: reads the daemon's event stream of state reports, one a second (src/observability/admin/dashboard-stream.ts), and
// draws it. The token, where one is required, goes into a header and never into an address. Screen readers get the changes of
// state (role="status") and the tables.
import { element, figure, minutesOf } from "./chart.js";
import { FIGURES, newCharts, Samples } from "./dashboard-samples.js";
import {
  bytes,
  CONDITION,
  CONNECTION,
  duration,
  fill,
  HOT_TOPIC,
  LIMIT,
  LOSS,
  lossesOf,
  NODE,
  SERVER,
  SLOW_CLIENT,
  stateOf,
} from "./dashboard-tables.js";

/** A report arrives each second: without one for this long the page reconnects. */
const REPORT_TIMEOUT_MS = 5000;
/** Reconnect delay: the first, doubled up to the largest. */
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 10_000;
const MAX_SHOWN_CONNECTIONS = 50;
const HOUR_MS = 60 * 60_000;
const FIVE_MINUTES_MS = 5 * 60_000;
const MAX_ROW_COUNT = 30;
const TOKEN = "m2push-token";

const at = (id) => document.getElementById(id);
const feed = document.documentElement.dataset.feed;
const samples = new Samples();
/** The last report. */
let status;
let reports = 0;
let connections = [];
let lastId = "";
let paused = false;
let spanMs = HOUR_MS;
let known = { text: "", servers: new Map() };
const charts = newCharts();

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
    const before = reports;
    const why = await watch().catch((error) =>
      error instanceof TypeError || error.name === "AbortError" ? "ended" : error.message,
    );
    if (why === "token") return ask("The token is not accepted.");
    if (reports > before) delay = FIRST_RETRY_MS;
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

function take({ status: now, hour, connections: latest, skipped }) {
  reports++;
  status = now;
  if (hour) samples.takeHour(hour, Date.now());
  samples.add(status, Date.now());
  if (skipped > 0) latest.unshift({ event: "skipped", skipped });
  connections = [...latest.reverse(), ...connections].slice(0, MAX_SHOWN_CONNECTIONS);
  announce(status);
  at("board").hidden = false;
  if (!paused) show(latest.length > 0);
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

// ---- Display ---------------------------------------------------------------------------------------------------------

function state(name) {
  const field = at("state");
  if (!field) return;
  field.textContent = name;
  field.dataset.state = name === "ready" ? "open" : name === "connecting" ? "connecting" : "closed";
}

function show(isChanged) {
  const now = Date.now();
  const shown = samples.last(spanMs, now);
  facts();
  const minutes = minutesOf(shown, now);
  at("charts-title").textContent =
    minutes === 1 ? "The last minute" : minutes === 60 ? "The last hour" : `The last ${minutes} minutes`;
  for (const chart of charts) chart.draw(shown, now);
  if (at("figures").open) figures(shown);
  fill(at("servers"), SERVER, status.servers);
  fill(at("limits"), LIMIT, status.limits);
  part("conditions", CONDITION, status.conditions);
  part("nodes", NODE, status.nodes ?? []);
  part("losses", LOSS, lossesOf(status.losses));
  part("hot-topics", HOT_TOPIC, status.hotTopics?.topics ?? []);
  part("slow-clients", SLOW_CLIENT, status.slowestClients ?? []);
  if (isChanged || at("connections").rows.length === 0) part("connections", CONNECTION, connections);
}

/** A table that is shown while it has rows; without one a sentence takes its place, or nothing does. */
function part(id, columns, items) {
  const hidden = at(`no-${id}`) ? at(id).closest(".scroll") : at(id).closest(".part");
  hidden.hidden = items.length === 0;
  if (at(`no-${id}`)) at(`no-${id}`).hidden = items.length > 0;
  fill(at(id), columns, items);
}

function facts() {
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

const MOMENT = [
  ["Time", (sample) => new Date(sample.at).toLocaleTimeString()],
  ...Object.values(FIGURES).map(({ name, unit = "", of }) => [name + unit, of]),
];
/** At most 30 rows over the time that the charts show, the newest first. */
function figures(shown) {
  const first = shown[0]?.at ?? 0;
  const intervalMs = ((shown.at(-1)?.at ?? 0) - first) / MAX_ROW_COUNT;
  let next = first;
  const rows = shown.filter(({ at: when }) => {
    if (when < next) return false;
    next = when + intervalMs;
    return true;
  });
  fill(at("figures").querySelector("table"), MOMENT, rows.reverse());
}

// ---- Start -----------------------------------------------------------------------------------------------------------------

at("charts").append(...charts.map((chart) => chart.figure));
/** A button that is pressed or not, and what it shows then. */
function toggle(id, apply) {
  at(id).addEventListener("click", ({ currentTarget: button }) => {
    const isPressed = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isPressed));
    apply(isPressed, button);
    if (status && !paused) show(true);
  });
}

at("figures").addEventListener("toggle", () => status && figures(samples.last(spanMs, Date.now())));
toggle("short", (isPressed) => {
  spanMs = isPressed ? FIVE_MINUTES_MS : HOUR_MS;
});
toggle("pause", (isPressed, button) => {
  paused = isPressed;
  button.textContent = isPressed ? "Resume" : "Pause";
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
