// A live chart. Each window publishes a figure a second; all draw all.
import { Chart } from "../chart.js";
import { connect } from "../client/index.js";
import { publish } from "./publish.js";

const topic = "demo/latency";
const chart = new Chart("From the request to the stored event, ms", "", [
  { name: "ms", of: ({ ms }) => ms },
]);
document.querySelector("#chart").append(chart.figure);

// A reload begins with the last 5 minutes.
let samples = [];
const hub = connect({ url: "/esupdates", topics: [topic], since: "5m" });
hub.addEventListener("message", ({ data }) => {
  samples = [...samples, JSON.parse(data)].slice(-300);
  chart.draw(samples, Date.now());
});

let ms = null; // how long the last publication took
const timer = setInterval(async () => {
  if (document.hidden) return;
  const start = performance.now();
  const sample = JSON.stringify({ at: Date.now(), ms });
  if (!(await publish(topic, sample, { ttl: "10m" }))) clearInterval(timer);
  ms = performance.now() - start;
}, 1000);
