/** Every page, checked by axe-core in a real browser: at the widths of phones, tablets and screens, light and dark. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { HTML, openBrowser, openPage, widths } from "../support/browser.js";
import { PROJECT } from "../support/processes.js";
import { upOfSuite } from "../support/up.js";

const WIDTHS = [360, 768, 1280, 1920];
const SCHEMES = ["light", "dark"] as const;

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[];
}

/** What axe-core finds on the page as it is, in words. */
async function violations(page: Page): Promise<string[]> {
  if ((await page.evaluate("typeof axe")) === "undefined") await page.evaluate(axe.source);
  const { violations: found } = (await page.evaluate("axe.run({ resultTypes: ['violations'] })")) as {
    violations: Violation[];
  };
  return found.flatMap(({ id, nodes }) => nodes.map((it) => `${id}: ${it.target.join(" ")}: ${it.failureSummary}`));
}

/** Checks a page: its width everywhere, and by axe-core as often as two schemes and four widths need. */
async function check(page: Page, name: string): Promise<void> {
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      const { wide, shown } = await widths(page);
      assert.ok(wide <= shown, `${name}: ${wide} px wide in ${shown}`);
      // Colours do not depend on the width: each width is checked in one scheme, each scheme at two widths.
      if (WIDTHS.indexOf(width) % 2 !== SCHEMES.indexOf(colorScheme)) continue;
      assert.deepEqual(await violations(page), [], `${name} at ${width} px, ${colorScheme}`);
    }
  }
}

describe("Accessibility, end to end", () => {
  const up = upOfSuite();

  /** What a page shows when it is in use. */
  const USED: Readonly<Record<string, (page: Page) => Promise<void>>> = {
    "index.html": (page) => page.locator("#state[data-state=open]").waitFor(),
    "events.html": async (page) => {
      await page.getByRole("button", { name: "Publish" }).click();
      await page.locator("#events li").first().waitFor();
    },
    "gallery/chat.html": async (page) => {
      await page.getByRole("textbox", { name: "Message" }).fill("a word of many letters ".repeat(10) + "x".repeat(200));
      await page.getByRole("textbox", { name: "Message" }).press("Enter");
      await page.locator("#messages li").waitFor();
    },
    "gallery/notifications.html": async (page) => {
      await page.getByRole("button", { name: "Notify" }).click();
      await page.locator("#list li").waitFor();
    },
    "gallery/live-chart.html": (page) => page.locator("path.line[d]").waitFor({ state: "attached" }),
    "gallery/answer.html": async (page) => {
      await page.getByRole("button", { name: "Ask" }).click();
      await page.locator("#answer", { hasText: "I am no" }).waitFor();
    },
    "dashboard.html": (page) => page.locator("#unfed").waitFor(),
  };

  test("every page of html/ is among them", () => {
    assert.deepEqual(
      Object.keys(HTML)
        .filter((path) => path.endsWith(".html"))
        .sort(),
      Object.keys(USED).sort(),
    );
  });

  for (const [path, use] of Object.entries(USED)) {
    test(`${path} has no violation and no horizontal scroll`, async (t) => {
      const { page } = await openPage(await openBrowser(t), `${up().url}/${path}`);
      await use(page);
      await check(page, path);
    });
  }

  test("the dashboard of a daemon with clients has none", async (t) => {
    const browser = await openBrowser(t);
    const { page } = await openPage(browser, up().adminUrl);
    await openPage(browser, `${up().url}/gallery/chat.html`);
    await page.locator("#connections tbody tr").first().waitFor();
    await page.getByText("Figures as a table").click();
    await check(page, "dashboard");
  });

  test("the example page of docs/ has none", async (t) => {
    const { page } = await openPage(await openBrowser(t), `${up().url}/`);
    await page.setContent(readFileSync(join(PROJECT, "docs/examples/answer.html"), "utf8"));
    assert.deepEqual(await violations(page), []);
  });
});
