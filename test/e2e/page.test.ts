/** The demo page in a real browser, through a real Mongrel2. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openBrowser, openPage } from "../support/browser.js";
import { startPair } from "../support/pair.js";
import { PROJECT } from "../support/processes.js";

const html = Object.fromEntries(
  readdirSync(join(PROJECT, "html")).map((name) => [name, readFileSync(join(PROJECT, "html", name), "utf8")]),
);
const handlers = [{ routes: ["/esupdates()$", "/.well-known/mercure"] }];

test("the page shows beacon and published events, and goes on by itself after the daemon was killed", async (t) => {
  const config = { beacon: { interval: "300ms" }, stream: { retry: "300ms" } };
  const pair = await startPair(t, { html, handlers, config, settings: { "limits.tick_timer": 1 } });
  const browser = await openBrowser(t);
  const { page, faults } = await openPage(browser, `${pair.mongrel2.url}/`);
  const text = (wanted: string) => page.locator("#events li", { hasText: wanted }).first().waitFor();
  const state = (wanted: string) => page.locator(`#state[data-state=${wanted}]`).waitFor();
  await state("open");
  await text("Timestamp ");
  await pair.publisher.publish("hello <b>page</b>");
  await text("hello <b>page</b>");
  assert.match((await page.locator("#last-id").textContent()) ?? "", /^[A-Za-z0-9]+\.\d+$/);
  await pair.daemon.kill9();
  await pair.restart();
  await pair.publisher.publish("after the kill");
  await text("after the kill");
  await state("open");
  assert.deepEqual(faults, []);
});

test("the page comes back, and misses nothing, after Mongrel2 was killed", async (t) => {
  const pair = await startPair(t, { html, handlers, config: { stream: { retry: "300ms" } } });
  const browser = await openBrowser(t);
  const { page } = await openPage(browser, `${pair.mongrel2.url}/`);
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

test("the page fits a narrow phone, in light and dark", async (t) => {
  const pair = await startPair(t, { html, handlers });
  const browser = await openBrowser(t);
  const { page, faults } = await openPage(browser, `${pair.mongrel2.url}/`, 360);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.locator("#state[data-state=open]").waitFor();
    const [wide, shown] = (await page.evaluate(
      "[document.documentElement.scrollWidth, document.documentElement.clientWidth]",
    )) as [number, number];
    assert.ok(wide <= shown, `${wide} px wide in ${shown}`);
  }
  assert.deepEqual(faults, []);
});

test("a browser without EventSource is told so", async (t) => {
  const pair = await startPair(t, { html, handlers });
  const browser = await openBrowser(t);
  const page = await browser.newPage();
  await page.addInitScript("delete window.EventSource");
  await page.goto(`${pair.mongrel2.url}/`);
  await page.locator("#unsupported").waitFor();
  assert.equal(await page.locator("#facts").isVisible(), false);
});
