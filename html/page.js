// The demo page: what comes over the connection that all its tabs share, how that is, and a form that publishes.
import { connect } from "./m2push.js";

const STREAM = "/esupdates";
const HUB = "/.well-known/mercure";
const SHOWN = 200;

const at = (id) => document.getElementById(id);
const facts = { events: 0, reconnects: 0, wasOpen: false, lost: false, paused: false };
/** @type {import("./m2push.js").Hub | undefined} */
let hub;

/** Adds a line on top; the text is only ever text. */
function show(text, kind) {
  if (facts.paused) return;
  const line = document.createElement("li");
  const time = document.createElement("time");
  const data = document.createElement("span");
  time.textContent = new Date().toLocaleTimeString();
  data.className = kind;
  data.textContent = text;
  line.append(time, data);
  at("events").prepend(line);
  while (at("events").children.length > SHOWN) at("events").lastElementChild.remove();
}

function received(event) {
  facts.events++;
  at("count").textContent = facts.events.toLocaleString();
  if (event.lastEventId) at("last-id").textContent = event.lastEventId;
  show(event.data, "data");
}

/** What the hub could not give back: said in the stream, so that no page believes it has seen everything. */
function gap({ detail: { reason } }) {
  show(`Some events before this one are gone (${reason}).`, "gap");
}

/** Follows the topics, or every public event when there are none; the page's address keeps them. */
function follow(topics) {
  hub?.close();
  hub = connect({ url: STREAM, topics });
  Object.assign(facts, { wasOpen: false, lost: false });
  at("last-id").textContent = "none yet";
  hub.addEventListener("message", received);
  hub.addEventListener("gap", gap);
  hub.addEventListener("state", state);
  state();
}

function state() {
  const { state: name, shared } = hub;
  at("state").textContent = name;
  at("state").dataset.state = name;
  at("connection").textContent = shared ? "shared by all tabs" : "of this tab";
  if (name === "open" && facts.lost) at("reconnects").textContent = (++facts.reconnects).toLocaleString();
  facts.lost = name !== "open" && (facts.lost || facts.wasOpen);
  facts.wasOpen ||= name === "open";
}

/** What to say of an answer to a publication. */
async function outcome(response, token) {
  const text = (await response.text()).trim();
  if (response.ok) return `Published as ${text}`;
  if (response.status === 401) return token ? "This token is not accepted." : "A token is needed.";
  if (response.status === 403) return "This token does not allow that.";
  return `Refused: ${text || response.status}`;
}

async function publish(event) {
  event.preventDefault();
  const token = at("token").value.trim();
  const say = (text) => {
    at("published").textContent = text;
  };
  say("Publishing…");
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const body = new URLSearchParams({ topic: at("topic").value, data: at("data").value });
    say(await outcome(await fetch(HUB, { method: "POST", headers, body }), token));
  } catch {
    say("The hub does not answer.");
  }
}

at("publish").addEventListener("submit", publish);
at("follow").addEventListener("submit", (event) => {
  event.preventDefault();
  const topics = at("topics").value.split(/\s+/).filter(Boolean);
  const query = new URLSearchParams(topics.map((topic) => ["topic", topic]));
  history.replaceState(null, "", topics.length > 0 ? `?${query}` : location.pathname);
  follow(topics);
});
at("pause").addEventListener("click", ({ currentTarget: button }) => {
  facts.paused = !facts.paused;
  button.setAttribute("aria-pressed", String(facts.paused));
  button.textContent = facts.paused ? "Go on" : "Pause";
});
at("clear").addEventListener("click", () => at("events").replaceChildren());

if ("EventSource" in window) {
  const topics = new URLSearchParams(location.search).getAll("topic");
  at("topics").value = topics.join(" ");
  follow(topics);
} else {
  at("live").hidden = true;
  at("unsupported").hidden = false;
}
