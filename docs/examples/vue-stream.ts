// A Vue composable (Vue 3.3 or newer) that follows topics: const { state, events } = useStream(() => ["news", props.room]);
import { connect, type HubEvent, type State } from "m2push/client";
import { onScopeDispose, ref, shallowRef, watch } from "vue";

const MAX_SHOWN_EVENTS = 100;

/** The state of the stream, and its events, the newest one first. When the topics change, the stream stays open. */
export function useStream(topics: () => readonly string[], url = "/.well-known/mercure") {
  const state = ref<State>("connecting");
  const events = shallowRef<readonly HubEvent[]>([]);
  const hub = connect({ url, topics: topics() }, { control: true });
  hub.addEventListener("state", ({ detail }) => {
    state.value = detail;
  });
  hub.addEventListener("message", (event) => {
    events.value = [event, ...events.value].slice(0, MAX_SHOWN_EVENTS);
  });
  hub.addEventListener("gap", () => {
    events.value = []; // load what the page shows again here
  });
  watch(topics, (now, before) => {
    const add = now.filter((topic) => !before.includes(topic));
    const remove = before.filter((topic) => !now.includes(topic));
    if (add.length + remove.length > 0) hub.change({ add, remove }).catch(console.error);
  });
  onScopeDispose(() => hub.close());
  return { state, events };
}
