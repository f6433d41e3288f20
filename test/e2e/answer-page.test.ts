/** The example page of docs/publish.md, "Streams that end", in a real browser: an answer that survives a reload. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openBrowser, openPage } from "../support/browser.js";
import { startPair } from "../support/pair.js";
import { PROJECT } from "../support/processes.js";

const PAGE = readFileSync(join(PROJECT, "docs/examples/answer.html"), "utf8");

describe("Answer page, end to end", () => {
  test("an answer arrives in pieces, ends, and is whole again after a reload, while it arrives and later", async (t) => {
    const pair = await startPair(t, { config: { stream: { retry: "100ms" } }, html: { "answer.html": PAGE } });
    const publish = (data: string, fields = {}) => pair.publisher.publish(data, "answers/42", fields);
    const { page } = await openPage(await openBrowser(t), `${pair.mongrel2.url}/answer.html#answers/42`);
    const shows = async (answer: string, state: string) => {
      await page.locator("#answer").filter({ hasText: answer }).waitFor();
      await page.locator("#state").filter({ hasText: state }).waitFor();
      assert.equal(await page.locator("#answer").textContent(), answer);
    };
    await publish("Streams ");
    await shows("Streams ", "answering");
    await page.reload();
    await publish("end.");
    await shows("Streams end.", "answering");
    await publish("", { final: true, type: "done" });
    await shows("Streams end.", "complete");
    await page.reload();
    await shows("Streams end.", "complete");
  });
});
