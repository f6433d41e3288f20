/** Publishes from a page: an event is a form that is sent to the hub. Where the hub refuses, the page says why. */
const HUB = "/.well-known/mercure";

/**
 * Resolves with whether the event is published.
 * @param {string} topic  @param {string} data  @param {Record<string, string>} fields more of its fields: type, ttl, final
 */
export async function publish(topic, data, fields = {}) {
  const body = new URLSearchParams({ topic, data, ...fields });
  const response = await fetch(HUB, { method: "POST", body }).catch(
    () => undefined,
  );
  const text = (await response?.text()) ?? "";
  say(response?.ok ? "" : refusal(response?.status, text.trim(), topic));
  return response?.ok === true;
}

export function say(text) {
  document.querySelector("#notice").textContent = text;
}

/** Why nothing is published, and what to do. */
export function refusal(status, text, topic) {
  const shell = `From a shell: npx m2push publish -t ${topic} TEXT`;
  if (status === undefined)
    return "Not published: the hub does not respond. Is it running?";
  if (status === 401 && text === "a token is needed")
    return `Not published: this hub needs a token. \`npm start\` lets pages of its own machine publish without one. ${shell}`;
  if (text === "invalid request")
    return `Not published: the hub does not accept this page's address, ${location.origin}. Open the one that \`npm start\` prints, or set [hub] origin.`;
  if (status === 429)
    return "Not published: too many events at once. Wait a moment.";
  return `Not published: ${text || `status ${status}`}. ${shell}`;
}
