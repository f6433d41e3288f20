// A React hook (React 18 or newer) that follows topics, and a component that uses it.
import { connect, type HubEvent, type State } from "m2push/client";
import { useEffect, useState } from "react";

const MAX_SHOWN_EVENTS = 100;

/** The state of the stream, and its events, the newest one first. */
export function useStream(topics: readonly string[], url = "/.well-known/mercure") {
  const [state, setState] = useState<State>("connecting");
  const [events, setEvents] = useState<readonly HubEvent[]>([]);
  const key = JSON.stringify(topics); // an array of the same topics is no change
  useEffect(() => {
    const hub = connect({ url, topics: JSON.parse(key) });
    hub.addEventListener("state", ({ detail }) => setState(detail));
    hub.addEventListener("message", (event) => setEvents((shown) => [event, ...shown].slice(0, MAX_SHOWN_EVENTS)));
    hub.addEventListener("gap", () => setEvents([])); // load what the page shows again here
    return () => hub.close();
  }, [url, key]);
  return { state, events };
}

export function News() {
  const { state, events } = useStream(["news"]);
  return (
    <ul aria-busy={state !== "open"}>
      {events.map(({ data, lastEventId }) => (
        <li key={lastEventId}>{data}</li>
      ))}
    </ul>
  );
}
