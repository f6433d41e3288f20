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

test("a tab whose process crashes takes nobody with it", async (t) => {
  const tabs = await start(t);
  const first = await tabs.tab();
  const second = await tabs.tab();
  const crashed = first.waitForEvent("crash");
  void first.goto("chrome://crash").catch(() => {});
  await crashed;
  await publish(tabs, 5);
  await until(second, "message 5");
  const seen = await heard(second);
  assert.deepEqual(seen, messages(5));
});

test("a frozen tab holds nobody up, and hears everything when it goes on", async (t) => {
  const tabs = await start(t);
  const [frozen, other] = [await tabs.tab(), await tabs.tab()];
  const session = await tabs.context.newCDPSession(frozen);
  await session.send("Page.setWebLifecycleState", { state: "frozen" });
  await publish(tabs, 20);
  await until(other, "message 20");
  await session.send("Page.setWebLifecycleState", { state: "active" });
  await until(frozen, "message 20");
  assert.deepEqual(await heard(frozen), messages(20));
  assert.equal(tabs.count("connect"), 1);
});

test("when the worker dies each tab goes on by itself, from what it has seen", async (t) => {
  const tabs = await start(t);
  const pages = [await tabs.tab(), await tabs.tab()];
  await publish(tabs, 3);
  for (const page of pages) await until(page, "message 3");
  const browser = await tabs.context.browser()?.newBrowserCDPSession();
  const { targetInfos } = (await browser?.send("Target.getTargets")) ?? { targetInfos: [] };
  const [worker] = targetInfos.filter(({ type }) => type === "shared_worker");
  assert.ok(worker);
  await browser?.send("Target.closeTarget", { targetId: worker.targetId });
  await publish(tabs, 3, 4);
  for (const page of pages) {
    await until(page, "message 6");
    assert.deepEqual(await heard(page), messages(6));
    assert.deepEqual(await page.evaluate("[hub.shared, hub.state, gaps.length]"), [false, "open", 0]);
  }
});

test("where there is no SharedWorker, or sharing is not wanted, each tab has an EventSource of its own", async (t) => {
  const tabs = await start(t);
  const alone = await tabs.tab('follow("/esupdates", ["message"], { share: false })');
  await tabs.context.addInitScript("delete window.SharedWorker");
  const without = await tabs.tab();
  await publish(tabs, 3);
  for (const page of [alone, without]) {
    await until(page, "message 3");
    assert.deepEqual(await heard(page), messages(3));
    assert.equal(await page.evaluate("hub.shared"), false);
  }
  assert.equal(tabs.count("connect"), 2);
});

test("where the worker cannot start, the tab has an EventSource of its own", async (t) => {
  const tabs = await start(t);
  const { page } = await openPage(tabs.context, `${tabs.mongrel2.url}/bare.html`);
  await page.waitForFunction("window.ready");
  await page.evaluate(`
    const Worker = SharedWorker;
    window.SharedWorker = class extends Worker { constructor(_, options) { super("/missing.js", options); } };
    ${FOLLOW}`);
  await page.evaluate('until(() => hub.state === "open")');
  await publish(tabs, 3);
  await until(page, "message 3");
  assert.deepEqual([await heard(page), await page.evaluate("hub.shared")], [messages(3), false]);
});

test("a page that comes back from the back/forward cache goes on from what it has seen", async (t) => {
  const tabs = await start(t);
  const page = await tabs.tab();
  await publish(tabs, 3);
  await until(page, "message 3");
  await page.evaluate('dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }))');
  await tabs.daemon.logged(({ event }) => event === "disconnect", "the page to leave");
  await publish(tabs, 3, 4);
  await page.evaluate('dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))');
  await until(page, "message 6");
  assert.deepEqual(await heard(page), messages(6));
});

test("a page that comes back, and has seen no event to go on from, is told of a gap", async (t) => {
  const tabs = await start(t);
  const page = await tabs.tab();
  await page.evaluate('dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }))');
  await page.evaluate('dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))');
  await page.evaluate("until(() => gaps.length > 0)");
  assert.deepEqual(await page.evaluate("gaps"), [{ reason: "unknown", oldest: "" }]);
});

test("a tab hears the types it listens for and no others, also those it asks for later", async (t) => {
  const tabs = await start(t);
  const prices = await tabs.tab('follow("/esupdates", ["price", "error", "open"])');
  const all = await tabs.tab('follow("/esupdates", ["message", "price"])');
  const send = (data: string, type?: string) => tabs.publisher.publish(data, "t", type === undefined ? {} : { type });
  await send("1", "price");
  await send("2");
  await send("3", "error");
  await send("4", "open");
  await send("5", "state");
  await send("6", "price");
  await until(prices, "price 6");
  await until(all, "price 6");
  assert.deepEqual(await heard(prices), ["price 1", "error 3", "open 4", "price 6"]);
  assert.deepEqual(await heard(all), ["price 1", "message 2", "price 6"]);
  assert.deepEqual(await prices.evaluate("[hub.state, gaps.length]"), ["open", 0]);
  await all.evaluate('listen("late")');
  // Another hub of this tab: once it is open, the worker has heard what this tab said before.
  await all.evaluate(FOLLOW);
  await all.evaluate('until(() => hub.state === "open")');
  await send("7", "late");
  await until(all, "late 7");
});

test("topics and addresses that differ have connections of their own, the same ones do not", async (t) => {
  const tabs = await start(t);
  const news = 'follow({ url: "/esupdates", topics: ["news", "books/{id}"] })';
  const pages = [await tabs.tab(news), await tabs.tab(news), await tabs.tab('follow("/esupdates?topic=weather")')];
  assert.equal(tabs.count("connect"), 2);
  await tabs.publisher.publish("1", "books/7");
  await tabs.publisher.publish("2", "weather");
  await tabs.publisher.publish("3", "news");
  const [first, second, weather] = pages as [Page, Page, Page];
  for (const page of [first, second]) {
    await until(page, "message 3");
    assert.deepEqual(await heard(page), ["message 1", "message 3"]);
  }
  await until(weather, "message 2");
  assert.deepEqual(await heard(weather), ["message 2"]);
});

test("a gap in the stream is told to every tab", async (t) => {
  const tabs = await start(t, { config: { stream: { retry: "300ms" }, history: { store: "memory" } } });
  const pages = [await tabs.tab(), await tabs.tab()];
  await publish(tabs, 1);
  for (const page of pages) await until(page, "message 1");
  await tabs.daemon.stop();
  await tabs.restart();
  for (const page of pages) {
    await page.evaluate("until(() => gaps.length > 0)");
    assert.deepEqual(await page.evaluate("gaps.map(({ reason }) => reason)"), ["unknown"]);
  }
});

test("a tab that closes its hub hears no more; when the last one has, the connection ends, and a new one can begin", async (t) => {
  const tabs = await start(t);
  const [first, second] = [await tabs.tab(), await tabs.tab()];
  await first.evaluate("hub.close()");
  await publish(tabs, 2);
  await until(second, "message 2");
  assert.deepEqual(
    [await heard(first), await first.evaluate("[hub.state, states]")],
    [[], ["closed", ["open", "closed"]]],
  );
  await second.evaluate("hub.close()");
  await tabs.daemon.logged(({ event }) => event === "disconnect", "the connection to end");
  await second.evaluate(FOLLOW);
  await second.evaluate('until(() => hub.state === "open")');
  await publish(tabs, 1, 3);
  await until(second, "message 3");
  assert.equal(tabs.count("connect"), 2);
});
