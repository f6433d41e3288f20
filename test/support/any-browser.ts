/** The browsers that tests of behaviour in every browser run in, behind one interface. */
import { after, before, type TestContext } from "node:test";
import { openBrowser } from "./browser.js";
import { openFirefox } from "./firefox.js";

/** What a page needs of its browser. */
export interface Tab {
  goto(url: string): Promise<unknown>;
  /** The value of an expression in the page; of a promise, what it resolves with. */
  evaluate(expression: string): Promise<unknown>;
}

interface AnyBrowser {
  readonly name: string;
  readonly open: (test: Pick<TestContext, "after">) => Promise<Tab>;
}

export const BROWSERS: readonly AnyBrowser[] = [
  { name: "Chromium", open: async (test) => (await openBrowser(test)).newPage() },
  { name: "Firefox ESR", open: openFirefox },
];

/** One tab for all tests of a describe block: it opens before the first and closes after the last. */
export function tabOf({ open }: AnyBrowser): () => Tab {
  let tab: Tab | undefined;
  const ends: (() => unknown)[] = [];
  before(async () => {
    tab = await open({ after: (end: () => unknown) => void ends.push(end) } as Pick<TestContext, "after">);
  });
  after(async () => {
    for (const end of ends.reverse()) await end();
  });
  return () => {
    if (tab === undefined) throw new TypeError("no test runs yet");
    return tab;
  };
}
