/**
 * Takes the place of a server that asks a model and publishes its words. It is a service worker, because one continues while its page is
 * reloaded or closed. Each word is published when the hub has stored the one before; the final event ends the topic.
 */
const HUB = "/.well-known/mercure";
const WORD_INTERVAL_MS = 80;
/** How long the hub keeps the words. */
const TTL = "1h";

const TEXT = [
  "I am no model, only a worker of this page with one answer for everyone. But each of these words is an event: published, stored, and then sent to every window that follows the topic.",
  "Reload this page now. The stream begins with everything that is stored, so the words come back at once, and the answer goes on where it was.",
  "Open the address in a second window: it shows the same answer from its beginning. Close both, come back in a minute, and the answer is complete.",
  "After the final event the topic has ended. The hub closes its streams, and a page that opens one later gets the answer and the end.",
].join("\n\n");

async function publish(topic, fields) {
  const body = new URLSearchParams({ topic, ttl: TTL, ...fields });
  const response = await fetch(HUB, { method: "POST", body });
  if (!response.ok)
    throw Object.assign(new Error("refused"), {
      status: response.status,
      text: await response.text(),
    });
}

const pause = () =>
  new Promise((resolve) => setTimeout(resolve, WORD_INTERVAL_MS));

async function answer({ data: { topic, question }, source }) {
  try {
    for (const data of `You asked: “${question}”\n\n${TEXT}`.match(/\s*\S+/g)) {
      await publish(topic, { data });
      await pause();
    }
    await publish(topic, { type: "done", final: "1" });
  } catch ({ status, text = "" }) {
    source.postMessage({ status, text, topic });
  }
}

addEventListener("install", () => skipWaiting());
addEventListener("message", (event) => event.waitUntil(answer(event)));
