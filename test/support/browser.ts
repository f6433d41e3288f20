/** A real Chromium, headless, that never speaks to anything but this machine. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { PROJECT } from "./processes.js";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The project's html/, by path: what Mongrel2 is to serve. */
export const HTML: Readonly<Record<string, string>> = Object.fromEntries(
  readdirSync(join(PROJECT, "html"), { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(?:html|js|css)$/.test(path))
    .map((path) => [path, readFileSync(join(PROJECT, "html", path), "utf8")]),
);

/** What a page showed that its author did not mean to. */
export interface Watched {
  readonly page: Page;
  /** Errors of the console and uncaught ones. */
  readonly faults: string[];
  /** Every address that it asked for. */
  readonly requests: string[];
}

export async function openBrowser(test: Pick<TestContext, "after">): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  test.after(() => browser.close());
  return browser;
}

/**
 * Opens a page and writes down its faults. Pages of one context are tabs of one browser; one opened by the browser itself
 * shares nothing with any other. `width`: of the window, CSS pixels.
 */
export async function openPage(where: Browser | BrowserContext, url: string, width = 1000): Promise<Watched> {
  const page = await where.newPage();
  await page.setViewportSize({ width, height: 800 });
  const faults: string[] = [];
  const requests: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(url);
  return { page, faults, requests };
}

/** How wide a page is, and how much of that is shown, CSS pixels. */
export async function widths(page: Page): Promise<{ wide: number; shown: number }> {
  const [wide, shown] = (await page.evaluate(
    "[document.documentElement.scrollWidth, document.documentElement.clientWidth]",
  )) as [number, number];
  return { wide, shown };
}
