/** m2push/client in a real browser: the tabs that have one connection, what each of them hears, and how they come and go. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openPage } from "../support/browser.js";
import { FOLLOW, heard, messages, publish, startTabs, until } from "../support/tabs.js";

describe("Tabs, end to end", { concurrency: 2 }, () => {
  test("two tabs of the page of all events have one connection, and show every event", async (t) => {
    const { context, mongrel2, daemon, publisher, count } = await startTabs(t, {
      config: { stream: { retry: "300ms" } },
    });
    const url = `${mongrel2.url}/events.html`;
    const tabs = [await openPage(context, url), await openPage(context, url)] as const;
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

  test("no event is lost or repeated when tabs close during a burst, the first one first", async (t) => {
    const tabs = await startTabs(t);
    const [first, second, third] = [await tabs.tab(), await tabs.tab(), await tabs.tab()];
    const publishing = publish(tabs, 1000);
    await heard(first, "message 1");
    await first.close();
    await heard(second, "message 500");
    await second.close();
    await publishing;
    await publish(tabs, 1, 1001);
    assert.deepEqual(await heard(third, "message 1001"), messages(1001));
    assert.deepEqual([tabs.count("connect"), tabs.count("disconnect")], [1, 0]);
  });

  test("nothing is lost when the first tab closes before any event was seen", async (t) => {
    const tabs = await startTabs(t);
    const [first, second] = [await tabs.tab(), await tabs.tab()];
    const closing = first.close();
    await publish(tabs, 5);
    await closing;
    assert.deepEqual(await heard(second, "message 5"), messages(5));
  });

  test("a tab hears the types it listens for and no others, also those it asks for later", async (t) => {
    const tabs = await startTabs(t);
    const prices = await tabs.tab('follow("/esupdates", ["price", "error", "open"])');
    const all = await tabs.tab('follow("/esupdates", ["message", "price"])');
    const send = (data: string, type?: string) => tabs.publisher.publish(data, "t", type === undefined ? {} : { type });
    await send("1", "price");
    await send("2");
    await send("3", "error");
    await send("4", "open");
    await send("5", "state");
    await send("6", "price");
    assert.deepEqual(await heard(prices, "price 6"), ["price 1", "error 3", "open 4", "price 6"]);
    assert.deepEqual(await heard(all, "price 6"), ["price 1", "message 2", "price 6"]);
    assert.deepEqual(await prices.evaluate("[hub.state, states, gaps]"), ["open", ["open"], []]);
    await all.evaluate('listen("late")');
    // Another hub of this tab: once it is open, the worker has heard what this tab said before.
    await all.evaluate(FOLLOW);
    await until(all, 'hub.state === "open"');
    await send("7", "late");
    await heard(all, "late 7");
  });

  test("topics and addresses that differ have connections of their own, the same ones do not", async (t) => {
    const tabs = await startTabs(t);
    const news = 'follow({ url: "/esupdates", topics: ["news", "books/{id}"] })';
    const [first, second] = [await tabs.tab(news), await tabs.tab(news)];
    const weather = await tabs.tab('follow("/esupdates?topic=weather")');
    assert.equal(tabs.count("connect"), 2);
    await tabs.publisher.publish("1", "books/7");
    await tabs.publisher.publish("2", "weather");
    await tabs.publisher.publish("3", "news");
    for (const page of [first, second]) assert.deepEqual(await heard(page, "message 3"), ["message 1", "message 3"]);
    await tabs.publisher.publish("4", "weather");
    assert.deepEqual(await heard(weather, "message 4"), ["message 2", "message 4"]);
  });

  test("a gap in the stream is told to every tab", async (t) => {
    const tabs = await startTabs(t, { config: { stream: { retry: "300ms" }, history: { store: "memory" } } });
    const pages = [await tabs.tab(), await tabs.tab()];
    await publish(tabs, 1);
    for (const page of pages) await heard(page, "message 1");
    await tabs.daemon.stop();
    await tabs.restart();
    for (const page of pages) {
      await until(page, "gaps.length > 0");
      assert.deepEqual(await page.evaluate("gaps.map(({ reason }) => reason)"), ["unknown"]);
    }
  });

  test("a tab that closes its hub hears no more; once all have, the connection ends, and a new one can begin", async (t) => {
    const tabs = await startTabs(t);
    const [first, second] = [await tabs.tab(), await tabs.tab()];
    await first.evaluate("hub.close()");
    await publish(tabs, 2);
    await heard(second, "message 2");
    assert.deepEqual(await first.evaluate("[heard, hub.state, states]"), [[], "closed", ["open", "closed"]]);
    await second.evaluate("hub.close()");
    await tabs.daemon.logged(({ event }) => event === "disconnect", "the connection to end");
    await second.evaluate(FOLLOW);
    await until(second, 'hub.state === "open"');
    await publish(tabs, 1, 3);
    assert.deepEqual(await heard(second, "message 3"), messages(3));
    assert.equal(tabs.count("connect"), 2);
  });
});
