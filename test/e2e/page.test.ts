/** The page of all events in a real browser, through a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { HTML, openBrowser, openPage, widths } from "../support/browser.js";
import { type PairOptions, pairOfSuite, startPair } from "../support/pair.js";
import { old, SECRET } from "./mercure.js";

const start = (t: TestContext, options: PairOptions = {}) => startPair(t, { html: HTML, ...options });

describe("Page, end to end", () => {
  const shared = pairOfSuite({ html: HTML, config: { auth: { publisher_key: SECRET } } });

  test("the page follows the topics it is given, and its address keeps them", async (t) => {
    const pair = shared();
    const browser = await openBrowser(t);
    const { page, faults } = await openPage(browser, `${pair.mongrel2.url}/events.html`);
    await page.locator("#state[data-state=open]").waitFor();
    await page.getByLabel("Topics to follow").fill("news  https://example.com/books/{id}");
    await page.getByRole("button", { name: "Follow" }).click();
    await pair.daemon.logged(
      ({ event, topics }) => event === "connect" && String(topics).includes("news"),
      "the topics",
    );
    await page.locator("#state[data-state=open]").waitFor();
    await pair.publisher.publish("not this", "weather");
    await pair.publisher.publish("a book", "https://example.com/books/1");
    await pair.publisher.publish("some news", "news");
    const lines = page.locator("#events li .data");
    await lines.filter({ hasText: "some news" }).waitFor();
    assert.deepEqual(await lines.allTextContents(), ["some news", "a book"]);
    await page.reload();
    assert.equal(await page.getByLabel("Topics to follow").inputValue(), "news https://example.com/books/{id}");
    assert.deepEqual(faults, []);
  });

  test("the page publishes with a token, and says why when it may not", async (t) => {
    const pair = shared();
    const browser = await openBrowser(t);
    const { page } = await openPage(browser, `${pair.mongrel2.url}/events.html`);
    await page.locator("#state[data-state=open]").waitFor();
    const publish = async (text: string, token: string, outcome: RegExp) => {
      await page.getByLabel("Text").fill(text);
      await page.getByLabel("Token").fill(token);
      await page.getByRole("button", { name: "Publish" }).click();
      await page.locator("#published").filter({ hasText: outcome }).waitFor();
    };
    await publish("without", "", /^A token is required\.$/);
    await publish("with a bad one", "x.y.z", /^The token is not accepted\.$/);
    await publish("with a small one", await old({ publish: ["weather"] }), /^The token does not grant this topic\.$/);
    await publish(
      "with a <b>good</b> one\nof two lines",
      ` ${await old({ publish: ["*"] })}\n`,
      /^Published with id \S+\.\d+$/,
    );
    await page.locator("#events li", { hasText: "with a <b>good</b> one" }).waitFor();
    assert.equal(await page.locator("#events li").count(), 1);
  });

  test("the page can be paused and cleared", async (t) => {
    const pair = shared();
    const browser = await openBrowser(t);
    const { page } = await openPage(browser, `${pair.mongrel2.url}/events.html`);
    await page.locator("#state[data-state=open]").waitFor();
    const button = page.locator("#pause");
    await button.click();
    assert.equal(await button.getAttribute("aria-pressed"), "true");
    await pair.publisher.publish("while paused");
    await page.locator("#count", { hasText: "1" }).waitFor();
    await button.click();
    await pair.publisher.publish("after");
    await page.locator("#events li", { hasText: "after" }).waitFor();
    assert.equal(await page.locator("#events li").count(), 1);
    await page.locator("#clear").click();
    assert.equal(await page.locator("#events li").count(), 0);
  });

  test("the page fits a narrow phone, in light and dark", async (t) => {
    const pair = shared();
    const browser = await openBrowser(t);
    const { page, faults, requests } = await openPage(browser, `${pair.mongrel2.url}/events.html`, 360);
    await page.locator("#state[data-state=open]").waitFor();
    await pair.publisher.publish("x".repeat(500));
    await page.locator("#events li").waitFor();
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      const { wide, shown } = await widths(page);
      assert.ok(wide <= shown, `${wide} px wide in ${shown}`);
    }
    assert.deepEqual(faults, []);
    assert.deepEqual(
      requests.filter((url) => !url.startsWith(pair.mongrel2.url) && !url.startsWith("data:")),
      [],
    );
  });

  test("every field and button of the page has a name, and is reached by keyboard", async (t) => {
    const pair = shared();
    const browser = await openBrowser(t);
    const { page } = await openPage(browser, `${pair.mongrel2.url}/events.html`);
    await page.locator("#state[data-state=open]").waitFor();
    await pair.publisher.publish("something to scroll to");
    await page.locator("#events li").waitFor();
    const reached: string[] = [];
    for (let step = 0; step < 16; step++) {
      await page.keyboard.press("Tab");
      reached.push((await page.evaluate("document.activeElement.id || document.activeElement.textContent")) as string);
    }
    const wanted = ["topics", "Follow", "pause", "clear", "events", "topic", "token", "data", "Publish"];
    const first = reached.indexOf("Events") + 1; // after the links to the other pages
    assert.deepEqual(reached.slice(first, first + wanted.length), wanted);
    for (const name of ["Topics to follow", "Topic", "Token", "Text"]) {
      assert.equal(
        await page
          .getByRole("textbox", { name, exact: true })
          .or(page.getByLabel(name, { exact: true }))
          .count(),
        1,
      );
    }
  });

  test("a browser that cannot read streams is told so", async (t) => {
    const pair = shared();
    const browser = await openBrowser(t);
    const page = await browser.newPage();
    await page.addInitScript("delete Response.prototype.body");
    await page.goto(`${pair.mongrel2.url}/events.html`);
    await page.locator("#unsupported").waitFor();
    assert.equal(await page.locator("#facts").isVisible(), false);
    assert.equal(await page.locator("#publish").isVisible(), true);
  });
});

describe("Page beside processes that end, end to end", { concurrency: 3 }, () => {
  test("the page shows beacon and published events, and goes on by itself after the daemon was killed", async (t) => {
    const config = { beacon: { interval: "300ms" }, stream: { retry: "300ms" } };
    const pair = await start(t, { config, settings: { "limits.tick_timer": 1 } });
    const browser = await openBrowser(t);
    const { page, faults } = await openPage(browser, `${pair.mongrel2.url}/events.html`);
    const text = (wanted: string) => page.locator("#events li", { hasText: wanted }).first().waitFor();
    const state = (wanted: string) => page.locator(`#state[data-state=${wanted}]`).waitFor();
    await state("open");
    await text("Timestamp ");
    await pair.publisher.publish("hello <b>page</b>");
    await text("hello <b>page</b>");
    assert.match((await page.locator("#last-id").textContent()) ?? "", /^#[A-Za-z0-9]+\.\d+$/);
    await pair.daemon.kill9();
    await pair.restart();
    await pair.publisher.publish("after the kill");
    await text("after the kill");
    await state("open");
    assert.deepEqual(faults, []);
  });

  test("the page comes back, and misses nothing, after Mongrel2 was killed", async (t) => {
    const pair = await start(t, { config: { stream: { retry: "300ms" } } });
    const browser = await openBrowser(t);
    const { page } = await openPage(browser, `${pair.mongrel2.url}/events.html`);
    const event = (wanted: string) => page.locator("#events li", { hasText: wanted });
    await page.locator("#state[data-state=open]").waitFor();
    await pair.publisher.publish("first");
    await event("first").waitFor();
    await pair.mongrel2.kill9();
    await page.locator("#state[data-state=connecting]").waitFor();
    await pair.publisher.publish("while away");
    await pair.mongrel2.start();
    await event("while away").waitFor({ timeout: 20_000 });
    assert.equal(await page.locator("#reconnects").textContent(), "1");
    assert.equal(await event("first").count(), 1);
  });

  test("the page says what the hub could not give back", async (t) => {
    const config = { stream: { retry: "300ms" }, history: { store: "memory" } };
    const pair = await start(t, { config });
    const browser = await openBrowser(t);
    const { page } = await openPage(browser, `${pair.mongrel2.url}/events.html`);
    await page.locator("#state[data-state=open]").waitFor();
    await pair.publisher.publish("of the first life");
    await page.locator("#events li", { hasText: "of the first life" }).waitFor();
    await pair.daemon.stop();
    await pair.restart();
    await page.locator("#events li .gap", { hasText: "Events before this one are missing (unknown)." }).waitFor();
  });
});
