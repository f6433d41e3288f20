/** The operator's dashboard in a real browser, fed by a real daemon beside a real Mongrel2. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import { HTML, openBrowser, openPage, type Watched, widths } from "../support/browser.js";
import { type Pair, type PairOptions, startPair } from "../support/pair.js";
import { freePort } from "../support/ports.js";

interface Board extends Watched {
  readonly pair: Pair;
  readonly url: string;
}

async function open(t: TestContext, options: PairOptions = {}, width?: number, token = ""): Promise<Board> {
  const listen = `127.0.0.1:${await freePort()}`;
  const pair = await startPair(t, { ...options, config: { admin: { listen, token }, ...options.config } });
  const url = `http://${listen}/`;
  return { pair, url, ...(await openPage(await openBrowser(t), url, width)) };
}

/** Resolves when the field of this name shows exactly this. */
const shows = (page: Page, name: string, value: string) =>
  page
    .locator("#facts div")
    .filter({ has: page.getByText(name, { exact: true }) })
    .locator("dd")
    .getByText(value, { exact: true })
    .waitFor();

const ready = (page: Page) => page.locator("#state[data-state=open]").waitFor();
const said = (page: Page, text: RegExp) => page.getByRole("status").filter({ hasText: text }).waitFor();
const connection = (page: Page, text: RegExp) =>
  page.locator("#connections tbody tr").filter({ hasText: text }).first();

/** Resolves when the first chart has been redrawn. */
async function moved(page: Page): Promise<void> {
  const line = "#charts figure:first-child path.line";
  const drawn = await page.locator(line).getAttribute("d");
  await page.locator(`${line}:not([d="${drawn}"])`).waitFor({ state: "attached" });
}

describe("Dashboard, end to end", { concurrency: 2 }, () => {
  test("connections and disconnections are shown within seconds, in labelled charts that move", async (t) => {
    const { page, faults, requests, pair, url } = await open(t);
    await ready(page);
    const news = await pair.stream({}, "/esupdates?topic=news&topic=weather");
    await pair.stream();
    await shows(page, "Clients", "2");
    await connection(page, /connected.*127\.0\.0\.1.*news weather/).waitFor();
    for (let event = 1; event <= 5; event++) await pair.publisher.publish(`${event}`, "news");
    await shows(page, "History", "5 events");
    await news.close();
    await connection(page, /disconnected.*left after \d+s.*news weather/).waitFor();
    await shows(page, "Clients", "1");
    await moved(page);
    await page.getByRole("img", { name: /^Clients\. clients: now 1, from \d to 2\.$/ }).waitFor();
    assert.equal(await page.getByRole("img", { name: /: now / }).count(), 8);
    await page.locator("#servers tbody tr", { hasText: /^main *live *1/ }).waitFor();
    assert.deepEqual(faults, []);
    assert.deepEqual(
      requests.filter((it) => !it.startsWith(url) && !it.startsWith("data:")),
      [],
    );
  });

  test("a reload forgets nothing: the daemon keeps the last hour, and five minutes of it can be shown", async (t) => {
    const { page, faults, pair } = await open(t);
    await ready(page);
    await pair.stream();
    await page.getByRole("img", { name: /^Clients\. clients: now 1, from 0 to 1\.$/ }).waitFor();
    const clients = page.locator("#charts figure:first-child path.line");
    const points = async () => ((await clients.getAttribute("d")) ?? "").split("L").length;
    const before = await points();
    await page.reload();
    await ready(page);
    // The client had not connected when the page was opened first.
    await page.getByRole("img", { name: /^Clients\. clients: now 1, from 0 to 1\.$/ }).waitFor();
    assert.ok((await points()) >= before, `${await points()} points after ${before}`);
    await page.getByRole("button", { name: "Last 5 minutes", pressed: false }).click();
    await page.getByRole("button", { name: "Last 5 minutes", pressed: true }).waitFor();
    await moved(page);
    assert.deepEqual(faults, []);
  });

  test("limits, hot topics and rejected events are shown, with how near a limit is", async (t) => {
    const { page, faults, pair } = await open(t, { config: { stream: { max_clients: 2 } } });
    await ready(page);
    await pair.stream();
    await page.getByRole("meter", { name: "clients: 50 %" }).waitFor();
    await pair.stream();
    await page.getByRole("meter", { name: "clients: 100 %" }).waitFor();
    for (let event = 1; event <= 5; event++) await pair.publisher.publish(`${event}`, "news");
    await page.locator("#hot-topics tbody tr", { hasText: "news" }).waitFor();
    await page.getByText("None since the daemon began.").waitFor();
    await pair.publisher.send(["{"]);
    await page.locator("#losses tbody tr", { hasText: /^rejected over zmqinvalid1$/ }).waitFor();
    assert.deepEqual(faults, []);
  });

  test("a Mongrel2 that is gone is told in words, and its return too", async (t) => {
    const { page, faults, pair } = await open(t);
    await ready(page);
    await said(page, /^The daemon is ready; main is live\.$/);
    await pair.mongrel2.kill9();
    await said(page, /^The daemon is not ready:server main: Mongrel2 has not answered/);
    await page.locator("#state[data-state=closed]", { hasText: "not ready" }).waitFor();
    await page.locator("#servers [data-state=closed]", { hasText: "down" }).waitFor();
    await pair.mongrel2.start();
    await said(page, /^The daemon is ready; main is live\.$/);
    assert.deepEqual(faults, []);
  });

  test("a daemon that is gone is waited for, and what it showed stays", async (t) => {
    const { page, pair } = await open(t);
    await ready(page);
    await pair.daemon.kill9();
    await said(page, /^The daemon does not respond\. Retrying\.$/);
    await page.locator("#state[data-state=connecting]").waitFor();
    assert.equal(await page.locator("#charts").isVisible(), true);
    await pair.restart();
    await ready(page);
    await said(page, /^The daemon is ready; main is live\.$/);
  });

  test("with a token the dashboard asks for it first, and the address never has it", async (t) => {
    const token = "a-token-of-operators";
    const { page, requests } = await open(t, {}, undefined, token);
    const field = page.getByLabel("Operator token");
    const enter = async (text: string) => {
      await field.fill(text);
      await page.keyboard.press("Enter");
    };
    await field.waitFor();
    assert.equal(await page.locator("#board").isVisible(), false);
    await enter("another");
    await said(page, /^The token is not accepted\.$/);
    assert.equal(await page.evaluate("document.activeElement.id"), "token");
    await enter(token);
    await ready(page);
    assert.equal(await field.isVisible(), false);
    assert.deepEqual(
      requests.filter((it) => it.includes(token)),
      [],
    );
  });

  test("everything is reached by keyboard, in the order in which it is read, and the charts can be stopped", async (t) => {
    const { page, pair } = await open(t);
    await pair.stream();
    await connection(page, /connected/).waitFor();
    const names: string[] = [];
    for (let step = 0; step < 6; step++) {
      await page.keyboard.press("Tab");
      const name = "(document.activeElement.getAttribute('aria-labelledby') ?? document.activeElement.textContent)";
      names.push((await page.evaluate(name)) as string);
      if (step !== 1) continue;
      await page.keyboard.press("Space");
      await page.getByRole("button", { name: "Resume", pressed: true }).waitFor();
    }
    const tables = ["servers-title", "limits-title", "connections-title"]; // the others have no rows
    assert.deepEqual(names, ["Last 5 minutes", "Pause", "Figures as a table", ...tables]);
    const drawn = await page.locator("#charts").innerHTML();
    const client = await pair.stream();
    await pair.publisher.publish("while it stands");
    await client.next();
    assert.equal(await page.locator("#charts").innerHTML(), drawn);
    await page.getByRole("button", { name: "Resume" }).press("Enter");
    await shows(page, "Clients", "2");
    await page.getByText("Figures as a table").press("Enter");
    await page.getByRole("columnheader", { name: "Deliveries/s" }).first().waitFor();
    for (const name of ["Servers", "Recent connections", "Figures as a table"])
      await page.getByRole("region", { name, exact: true }).last().waitFor();
  });

  test("it fits a narrow phone, in light and dark, with words that can be read, and nothing in it is animated", async (t) => {
    const { page, faults, pair } = await open(t, {}, 360);
    await pair.stream({}, `/esupdates?topic=${"a-long-topic-".repeat(20)}`);
    await connection(page, /connected/).waitFor();
    await page.getByText("Figures as a table").click();
    const papers = new Set<string>();
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const { wide, shown } = await widths(page);
      assert.ok(wide <= shown, `${wide} px wide in ${shown}`);
      papers.add(String(await page.evaluate("getComputedStyle(document.body).backgroundColor")));
      for (const words of [
        "dt",
        "dd",
        "#about",
        ".key-0",
        ".key-1",
        ".plot .top",
        "#connections .connect",
        "thead th",
      ]) {
        const contrast = await contrastOf(page, words);
        // WCAG 2.2, 1.4.3.
        assert.ok(contrast >= 4.5, `${words}: ${contrast} (${colorScheme})`);
      }
      assert.equal(await page.evaluate("document.getAnimations().length"), 0);
    }
    assert.equal(papers.size, 2);
    assert.deepEqual(faults, []);
  });

  test("where nobody feeds it, the page says where the dashboard is", async (t) => {
    const pair = await startPair(t, { html: HTML });
    const { page, faults } = await openPage(await openBrowser(t), `${pair.mongrel2.url}/dashboard.html`);
    await page.locator("#unfed").getByRole("link", { name: "http://127.0.0.1:6780/" }).waitFor();
    assert.equal(await page.locator("#board").isVisible(), false);
    assert.deepEqual(faults, []);
  });
});

/** Contrast of an element's words with what is behind them: WCAG 2.2, "contrast ratio". */
async function contrastOf(page: Page, selector: string): Promise<number> {
  const colours = (await page.evaluate(`(() => {
    const words = document.querySelector(${JSON.stringify(selector)});
    const paint = document.createElement("canvas").getContext("2d");
    const rgb = (colour) => {
      paint.fillStyle = colour;
      paint.fillRect(0, 0, 1, 1);
      return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const isClear = (it) => getComputedStyle(it).backgroundColor === "rgba(0, 0, 0, 0)";
    let behind = words;
    while (isClear(behind)) behind = behind.parentElement;
    return [rgb(getComputedStyle(words).color), rgb(getComputedStyle(behind).backgroundColor)];
  })()`)) as [number[], number[]];
  const [darker = 0, lighter = 0] = colours.map(luminance).sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

/** WCAG 2.2, "relative luminance". */
function luminance(rgb: readonly number[]): number {
  const [red = 0, green = 0, blue = 0] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
