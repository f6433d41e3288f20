/** A real Chromium, headless, that never speaks to anything but this machine. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, type TestContext } from "node:test";
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

let chromiumOfFile: Promise<Browser> | undefined;
after(async () => (await chromiumOfFile)?.close());

/**
 * A browser without tabs, which ends with the test. All are contexts of one Chromium, which ends with the test file: they share no page,
 * worker, connection, cookie or cache, and save the 2 s that a start takes.
 */
export async function openBrowser(test: Pick<TestContext, "after">): Promise<BrowserContext> {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  chromiumOfFile ??= chromium.launch({ executablePath, args: FLAGS });
  const context = await (await chromiumOfFile).newContext();
  test.after(() => context.close());
  return context;
}

/** Opens a page, and records its faults. `width`: of the window, CSS pixels. */
export async function openPage(browser: BrowserContext, url: string, width = 1000): Promise<Watched> {
  const page = await browser.newPage();
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
