/** Tabs of one real browser: pages with the client (html/m2push.js) in them that write down what their hub says. */
import type { TestContext } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { HTML, openBrowser, openPage } from "./browser.js";
import { WAIT_TIMEOUT_MS, within } from "./deadline.js";
import { type Pair, type PairOptions, startPair } from "./pair.js";

/** "type data" of each event, gaps and states apart; until() looks again whenever the hub has said something. */
const BARE = `<!doctype html><link rel="icon" href="data:,"><script type="module">
import { connect } from "./m2push.js";
window.heard = []; window.gaps = []; window.states = [];
window.follow = (to, types = ["message"], options = {}) => {
  const hub = window.hub = connect(to, options);
  for (const type of types) window.listen(type);
  hub.addEventListener("gap", ({ detail }) => { window.gaps.push(detail); dispatchEvent(new Event("heard")); });
  hub.addEventListener("state", ({ detail }) => { window.states.push(detail); dispatchEvent(new Event("heard")); });
};
window.listen = (type) => window.hub.addEventListener(type, (event) => {
  window.heard.push(event.type + " " + event.data);
  dispatchEvent(new Event("heard"));
});
window.until = (look) => new Promise((resolve) => {
  const again = () => look() && resolve();
  addEventListener("heard", again);
  again();
});
window.ready = true;
</script>`;

/** What a tab does unless it is told to do something else. */
export const FOLLOW = 'follow("/esupdates")';

export interface Tabs extends Pair {
  readonly context: BrowserContext;
  /** Opens another tab, that has no hub before it follows. */
  blank(): Promise<Page>;
  /** Opens another tab, whose hub follows; resolves when its connection is open. */
  tab(follow?: string): Promise<Page>;
  /** How often the daemon was connected to, and left. */
  count(event: "connect" | "disconnect"): number;
}

/** A Mongrel2 that serves the page, the daemon beside it, and a browser without tabs; all end with the test. */
export async function startTabs(t: TestContext, options: PairOptions = {}): Promise<Tabs> {
  const pair = await startPair(t, { html: { ...HTML, "bare.html": BARE }, ...options });
  const context = await openBrowser(t);
  const blank = async () => {
    const { page } = await openPage(context, `${pair.mongrel2.url}/bare.html`);
    await page.waitForFunction("window.ready");
    return page;
  };
  const tab = async (follow = FOLLOW) => {
    const page = await blank();
    await page.evaluate(follow);
    await until(page, 'hub.state === "open"');
    return page;
  };
  const count = (event: string) => pair.daemon.log.filter((line) => line.event === event).length;
  // The getters of the pair, not their values.
  return Object.assign(Object.create(pair) as Pair, { context, blank, tab, count });
}

/** Resolves when an expression, over heard, gaps, states and hub, is true in the page. */
export async function until(page: Page, look: string): Promise<void> {
  await within(WAIT_TIMEOUT_MS, page.evaluate(`until(() => ${look})`), `${look} in a tab`);
}

/** Every event that the page has heard by the time it hears `last`. */
export async function heard(page: Page, last: string): Promise<string[]> {
  await until(page, `heard.includes(${JSON.stringify(last)})`);
  return (await page.evaluate("heard")) as string[];
}

/** What publish() makes the tabs hear. */
export const messages = (count: number, from = 1) => Array.from({ length: count }, (_, at) => `message ${from + at}`);

/** Publishes as many events, with a number in each. */
export async function publish({ publisher }: Pair, count: number, from = 1): Promise<void> {
  for (let event = from; event < from + count; event++) await publisher.publish(`${event}`);
}
