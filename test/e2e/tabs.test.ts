/** html/m2push.js in a real browser: several tabs, one connection, and every way in which a tab or the worker can go. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { HTML, openBrowser, openPage } from "../support/browser.js";
import { type Pair, type PairOptions, startPair } from "../support/pair.js";

/** A page that writes down what its hub says: "type data" of each event, gaps and states apart. */
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

interface Tabs extends Pair {
  readonly context: BrowserContext;
  /** Opens another tab, whose hub follows; resolves when its connection is open. */
  tab(follow?: string): Promise<Page>;
  /** How often the daemon was connected to, and left. */
  count(event: "connect" | "disconnect"): number;
}

const FOLLOW = 'follow("/esupdates")';

async function start(t: TestContext, options: PairOptions = {}): Promise<Tabs> {
  const pair = await startPair(t, { html: { ...HTML, "bare.html": BARE }, ...options });
  const context = await (await openBrowser(t)).newContext();
  const tab = async (follow = FOLLOW) => {
    const { page } = await openPage(context, `${pair.mongrel2.url}/bare.html`);
    await page.waitForFunction("window.ready");
    await page.evaluate(follow);
    await page.evaluate('until(() => hub.state === "open")');
    return page;
  };
  const count = (event: string) => pair.daemon.log.filter((line) => line.event === event).length;
  // The getters of the pair, not their values.
  return Object.assign(Object.create(pair) as Pair, { context, tab, count });
}

const heard = (page: Page) => page.evaluate("heard") as Promise<string[]>;
const until = (page: Page, event: string) => page.evaluate(`until(() => heard.includes(${JSON.stringify(event)}))`);

const messages = (count: number, from = 1) => Array.from({ length: count }, (_, at) => `message ${from + at}`);

async function publish({ publisher }: Pair, count: number, from = 1): Promise<void> {
  for (let event = from; event < from + count; event++) await publisher.publish(`${event}`);
}

test("two tabs of the demo page have one connection, and show every event", async (t) => {
  const { context, mongrel2, daemon, publisher, count } = await start(t, { config: { stream: { retry: "300ms" } } });
  const tabs = [await openPage(context, `${mongrel2.url}/`), await openPage(context, `${mongrel2.url}/`)] as const;
  const shown = ({ page }: (typeof tabs)[number], text: string) =>
    page.locator("#events li", { hasText: text }).waitFor();
  for (const { page } of tabs) {
    await page.locator("#state[data-state=open]").waitFor();
    assert.equal(await page.locator("#connection").textContent(), "shared by all tabs");
  }
  await publisher.publish("for both");
  for (const tab of tabs) await shown(tab, "for both");
  assert.equal(count("connect"), 1);
  const [first, second] = tabs;
  await first.page.close();
  await publisher.publish("for the one that is left");
  await shown(second, "for the one that is left");
  assert.deepEqual([count("connect"), count("disconnect")], [1, 0]);
  assert.equal(await second.page.locator("#reconnects").textContent(), "0");
  await second.page.close();
  await daemon.logged(({ event }) => event === "disconnect", "the last tab to leave");
  for (const { faults } of tabs) assert.deepEqual(faults, []);
});

test("nothing is lost or comes twice when tabs close in the middle of a burst, the first one first", async (t) => {
  const tabs = await start(t);
  const pages = [await tabs.tab(), await tabs.tab(), await tabs.tab()] as const;
  const publishing = publish(tabs, 1000);
  await until(pages[0], "message 1");
  await pages[0].close();
  await until(pages[1], "message 500");
  await pages[1].close();
  await publishing;
  await publish(tabs, 1, 1001);
  await until(pages[2], "message 1001");
  assert.deepEqual(await heard(pages[2]), messages(1001));
  assert.deepEqual([tabs.count("connect"), tabs.count("disconnect")], [1, 0]);
});

test("nothing is lost when the first tab closes before any event was seen", async (t) => {
  const tabs = await start(t);
  const [first, second] = [await tabs.tab(), await tabs.tab()];
  const closing = first.close();
  await publish(tabs, 5);
  await closing;
  await until(second, "message 5");
  assert.deepEqual(await heard(second), messages(5));
});
