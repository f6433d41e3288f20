/** m2push/client in a real browser: tabs that crash and come back, a worker that is not there, and one that dies. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Page } from "playwright-core";
import { FOLLOW, heard, messages, publish, startTabs, type Tabs, until } from "../support/tabs.js";

/** Ends the process of a tab, and with the first one's the worker: it lives there. */
async function crash(page: Page): Promise<void> {
  const crashed = page.waitForEvent("crash");
  await page.goto("chrome://crash").catch(() => {});
  await crashed;
}

async function endWorker({ context, mongrel2 }: Tabs): Promise<void> {
  const session = await context.browser()?.newBrowserCDPSession();
  const { targetInfos } = (await session?.send("Target.getTargets")) ?? { targetInfos: [] };
  const worker = targetInfos.find(({ type, url }) => type === "shared_worker" && url.startsWith(mongrel2.url));
  assert.ok(worker);
  await session?.send("Target.closeTarget", { targetId: worker.targetId });
}

/** The browser's word that the page goes into its back/forward cache, or comes out. */
const cached = (page: Page, event: "pagehide" | "pageshow") =>
  page.evaluate(`dispatchEvent(new PageTransitionEvent("${event}", { persisted: true }))`);

describe("Tabs faults, end to end", { concurrency: 2 }, () => {
  test("when the first tab crashes, and the worker with it, the other goes on from what it has seen", async (t) => {
    const tabs = await startTabs(t);
    const [first, second] = [await tabs.tab(), await tabs.tab()];
    await publish(tabs, 3);
    await heard(second, "message 3");
    await crash(first);
    await publish(tabs, 3, 4);
    assert.deepEqual(await heard(second, "message 6"), messages(6));
    assert.deepEqual(await second.evaluate("[hub.shared, hub.state, gaps]"), [false, "open", []]);
  });

  test("when the first tab crashes before any event was seen, the other goes on from where its stream began", async (t) => {
    const tabs = await startTabs(t);
    const [first, second] = [await tabs.tab(), await tabs.tab()];
    await Promise.all([crash(first), publish(tabs, 3)]);
    assert.deepEqual(await heard(second, "message 3"), messages(3));
    await until(second, '!hub.shared && hub.state === "open"');
    assert.deepEqual(await second.evaluate("gaps"), []);
  });

  test("when another tab crashes, the first one and the connection stay", async (t) => {
    const tabs = await startTabs(t);
    const [first, second] = [await tabs.tab(), await tabs.tab()];
    await crash(second);
    await publish(tabs, 3);
    assert.deepEqual(await heard(first, "message 3"), messages(3));
    assert.deepEqual([await first.evaluate("hub.shared"), tabs.count("connect")], [true, 1]);
  });

  test("when the worker dies each tab goes on by itself, from what it has seen", async (t) => {
    const tabs = await startTabs(t);
    const pages = [await tabs.tab(), await tabs.tab()];
    await publish(tabs, 3);
    for (const page of pages) await heard(page, "message 3");
    await endWorker(tabs);
    await publish(tabs, 3, 4);
    for (const page of pages) {
      assert.deepEqual(await heard(page, "message 6"), messages(6));
      // The worker may have lived long enough to tell message 6 itself.
      await until(page, '!hub.shared && hub.state === "open"');
      assert.deepEqual(await page.evaluate("[heard, gaps]"), [messages(6), []]);
    }
  });

  test("where there is no SharedWorker, or sharing is not wanted, each tab has a stream of its own", async (t) => {
    const tabs = await startTabs(t);
    const alone = await tabs.tab('follow("/esupdates", ["message"], { share: false })');
    await tabs.context.addInitScript("delete window.SharedWorker");
    const without = await tabs.tab();
    await publish(tabs, 3);
    for (const page of [alone, without]) {
      assert.deepEqual(await heard(page, "message 3"), messages(3));
      assert.equal(await page.evaluate("hub.shared"), false);
    }
    assert.equal(tabs.count("connect"), 2);
  });

  test("where the worker cannot start, the tab has a stream of its own", async (t) => {
    const tabs = await startTabs(t);
    const page = await tabs.tab(`
    const Worker = SharedWorker;
    window.SharedWorker = class extends Worker { constructor(_, options) { super("/missing.js", options); } };
    ${FOLLOW}`);
    await publish(tabs, 3);
    assert.deepEqual(await heard(page, "message 3"), messages(3));
    assert.equal(await page.evaluate("hub.shared"), false);
  });

  test("a page that comes back from the back/forward cache goes on from what it has seen", async (t) => {
    const tabs = await startTabs(t);
    const page = await tabs.tab();
    await publish(tabs, 3);
    await heard(page, "message 3");
    await cached(page, "pagehide");
    await tabs.daemon.logged(({ event }) => event === "disconnect", "the page to leave");
    await publish(tabs, 3, 4);
    await cached(page, "pageshow");
    assert.deepEqual(await heard(page, "message 6"), messages(6));
  });

  test("a page that comes back, and has seen no event, goes on from where its stream began", async (t) => {
    const tabs = await startTabs(t);
    const page = await tabs.tab();
    await cached(page, "pagehide");
    await tabs.daemon.logged(({ event }) => event === "disconnect", "the page to leave");
    await publish(tabs, 3);
    await cached(page, "pageshow");
    assert.deepEqual(await heard(page, "message 3"), messages(3));
    assert.deepEqual(await page.evaluate("gaps"), []);
  });
});
