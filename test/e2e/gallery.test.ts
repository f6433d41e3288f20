/** The gallery as `npm start` serves it: `m2push up` with the project's configurations, Mongrel2 and real browsers. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import { HTML, openBrowser, openPage } from "../support/browser.js";
import { PROJECT } from "../support/processes.js";
import { upOfSuite } from "../support/up.js";

const DEMOS = ["chat", "notifications", "live-chart", "answer"];
const MODEL = readFileSync(join(PROJECT, "html/gallery/model.js"), "utf8");

const opened = (page: Page) => page.locator("code[data-source] span").first().waitFor();
const texts = (page: Page, list: string) => page.locator(`${list} li`).allTextContents();
const line = (page: Page, list: string, text: string) =>
  page.locator(`${list} li`, { hasText: text }).first().waitFor();
const notice = (page: Page, text: RegExp) => page.locator("#notice").filter({ hasText: text }).waitFor();

describe("Gallery, end to end", () => {
  const up = upOfSuite();
  const open = async (t: TestContext, name: string) => openPage(await openBrowser(t), `${up().url}/gallery/${name}`);

  test("chat: all windows show the same messages in the same order, also one that opens later, and no HTML", async (t) => {
    const { page, faults } = await open(t, "chat.html");
    const other = await open(t, "chat.html");
    const send = async (from: Page, text: string) => {
      await from.getByRole("textbox", { name: "Message" }).fill(text);
      await from.getByRole("textbox", { name: "Message" }).press("Enter");
      for (const window of [page, other.page]) await line(window, "#messages", text);
    };
    await other.page.getByLabel("Name").fill("Grace");
    await send(page, "hello <b>all</b>");
    await send(other.page, "hello: Ada");
    assert.equal(await page.getByRole("textbox", { name: "Message" }).inputValue(), "");
    const wanted = ["Adahello <b>all</b>", "Gracehello: Ada"];
    await page.reload();
    await line(page, "#messages", "hello: Ada");
    for (const window of [page, other.page]) assert.deepEqual(await texts(window, "#messages"), wanted);
    assert.deepEqual([...faults, ...other.faults], []);
  });

  test("notifications: a user gets those for everyone and for this user, each by its type", async (t) => {
    const { page, faults } = await open(t, "notifications.html");
    const grace = await open(t, "notifications.html?user=grace");
    const notify = async (to: string, type: string, text: string) => {
      await page.getByLabel("To").selectOption(to);
      await page.getByLabel("Type").selectOption(type);
      await page.getByLabel("Text").fill(text);
      await page.getByRole("button", { name: "Notify" }).click();
      await line(page, "#list", text);
    };
    await notify("this user", "warning", "for Ada");
    await notify("everyone", "success", "for all");
    await line(grace.page, "#list", "for all");
    assert.deepEqual(await texts(page, "#list"), ["for all", "for Ada"]);
    assert.deepEqual(await texts(grace.page, "#list"), ["for all"]);
    assert.equal(await page.locator("#list .warning").textContent(), "for Ada");
    assert.equal(await page.title(), "(2) Notifications");
    assert.deepEqual([...faults, ...grace.faults], []);
  });

  test("live chart: it draws what it publishes, and a reload brings the figures back", async (t) => {
    const { page, faults } = await open(t, "live-chart.html");
    await page.getByRole("img", { name: /ms: now [\d,.]+, from/ }).waitFor();
    await page.locator("path.line[d*=L]").waitFor({ state: "attached" });
    await page.reload();
    // Two stored figures: the page itself has published none yet, or one without a figure.
    await page.locator("path.line[d*=L]").waitFor({ state: "attached" });
    assert.deepEqual(faults, []);
  });

  test("answer: it is whole after a reload in its midst, in a second window, and after its end", async (t) => {
    const { page, faults } = await open(t, "answer.html");
    const answer = page.locator("#answer");
    const isComplete = (of: Page) => of.locator("#state").filter({ hasText: "complete" }).waitFor();
    await page.getByRole("button", { name: "Ask" }).click();
    await answer.filter({ hasText: "I am no model" }).waitFor();
    await page.reload();
    const before = (await answer.textContent()) ?? "";
    assert.doesNotMatch(before, /two of the end/);
    await answer.filter({ hasText: "Reload this page now" }).waitFor();
    const second = await page.context().newPage();
    await second.goto(page.url());
    await Promise.all([isComplete(page), isComplete(second)]);
    const words = [...MODEL.matchAll(/^ {2}"(.*)",$/gm)].map(([, text]) => text).join("\n\n");
    const whole = `You asked: “What happens when I reload this page?”\n\n${words}`;
    assert.ok(words.length > 500);
    assert.deepEqual([await answer.textContent(), await second.locator("#answer").textContent()], [whole, whole]);
    await page.reload();
    await isComplete(page);
    assert.equal(await answer.textContent(), whole);
    assert.deepEqual(faults, []);
  });

  test("each page runs the source that it shows, about 20 lines, and no script of its HTML", async (t) => {
    const browser = await openBrowser(t);
    for (const name of DEMOS) {
      const { page, requests } = await openPage(browser, `${up().url}/gallery/${name}.html`);
      await opened(page);
      const file = HTML[`gallery/${name}.js`] ?? "";
      assert.equal(await page.locator("code[data-source]").textContent(), file);
      assert.ok(requests.includes(`${up().url}/gallery/${name}.js`));
      const code = file.split("\n").filter((text) => /\S/.test(text) && !/^\s*\/\//.test(text));
      assert.ok(code.length <= 27, `${name}.js has ${code.length} lines`);
      await page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { text: 'isRun = 1' }))",
      );
      assert.equal(await page.evaluate("typeof isRun"), "undefined");
      await page.close();
    }
  });

  test("the first page shows the beacon, and leads to every demo", async (t) => {
    const { page, faults } = await openPage(await openBrowser(t), `${up().url}/`);
    await page.locator("#state[data-state=open]").waitFor();
    await page.locator("#now", { hasText: "Timestamp " }).waitFor();
    for (const name of DEMOS) assert.equal(await page.locator(`.cards a[href="gallery/${name}.html"]`).count(), 1);
    await page.locator(".cards").getByRole("link", { name: "Chat" }).click();
    await page.getByRole("heading", { name: "Chat", level: 1 }).waitFor();
    await page.getByRole("link", { name: "Overview" }).click();
    await page.locator("#state[data-state=open]").waitFor();
    assert.deepEqual(faults, []);
  });

  test("a page at another address than the hub's is told which one", async (t) => {
    const url = up().url.replace("localhost", "127.0.0.1");
    const { page } = await openPage(await openBrowser(t), `${url}/gallery/chat.html`);
    await page.getByRole("textbox", { name: "Message" }).fill("hello");
    await page.getByRole("textbox", { name: "Message" }).press("Enter");
    await notice(page, /^Not published: the hub does not accept this page's address, http:\/\/127\.0\.0\.1:\d+\. Open/);
    assert.equal(await page.getByRole("textbox", { name: "Message" }).inputValue(), "hello");
  });
});

describe("Gallery of a hub with a key, end to end", () => {
  const up = upOfSuite({
    toml: (text) => text.replace(/^publisher_key = ""/m, `publisher_key = "${"secret ".repeat(6)}"`),
  });

  test("pages need a token, say so in words, and show what others publish", async (t) => {
    const browser = await openBrowser(t);
    const { page } = await openPage(browser, `${up().url}/gallery/chat.html`);
    await page.getByRole("textbox", { name: "Message" }).fill("hello");
    await page.getByRole("textbox", { name: "Message" }).press("Enter");
    await notice(page, /^Not published: this hub needs a token\..* npx m2push publish -t demo\/chat TEXT$/);
    const asked = await openPage(browser, `${up().url}/gallery/answer.html`);
    await asked.page.getByRole("button", { name: "Ask" }).click();
    await notice(asked.page, /^Not published: this hub needs a token\./);
    const chart = await openPage(browser, `${up().url}/gallery/live-chart.html`);
    await notice(chart.page, /^Not published: this hub needs a token\./);
  });
});
