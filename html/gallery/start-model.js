/** Starts the model of the answer page (model.js), and shows why it cannot answer. */
import { refusal, say } from "./publish.js";

if (navigator.serviceWorker) {
  navigator.serviceWorker
    .register("model.js")
    .catch((error) => say(`The model does not start: ${error.message}`));
  navigator.serviceWorker.onmessage = ({ data: { status, text, topic } }) =>
    say(refusal(status, text.trim(), topic));
} else {
  say(
    "The model of this demo is a service worker, and browsers have them over https and at http://localhost only. Answers that are there can be read.",
  );
  for (const field of document.forms[0].elements) field.disabled = true;
}
