/** A real Chromium, headless, that never speaks to anything but this machine. */
import type { TestContext } from "node:test";
import { type Browser, chromium, type Page } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** What a page showed that its author did not mean to. */
export interface Watched {
  readonly page: Page;
  /** Errors of the console and uncaught ones. */
  readonly faults: string[];
}

export async function openBrowser(test: TestContext): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  test.after(() => browser.close());
  return browser;
}

/** Opens a page and writes down its faults. `width`: of the window, CSS pixels. */
export async function openPage(browser: Browser, url: string, width = 1000): Promise<Watched> {
  const page = await browser.newPage({ viewport: { width, height: 800 } });
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  await page.goto(url);
  return { page, faults };
}
