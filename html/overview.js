/** The first page of the gallery: shows that its stream is open, and the newest event of the beacon. */
import { connect } from "./client/index.js";

const [state, now] = [document.querySelector("#state"), document.querySelector("#now")];
const hub = connect({ url: "/esupdates", topics: ["beacon"] });
hub.addEventListener("state", ({ detail }) => {
  state.textContent = detail;
  state.dataset.state = detail;
});
hub.addEventListener("message", ({ data }) => {
  now.textContent = data;
});
