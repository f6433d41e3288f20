/** docs/build-a-chat.md, followed to its end: `m2push up`, the page, the backend behind a Proxy of Mongrel2, and two browsers. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { openBrowser, openPage } from "../support/browser.js";
import { Changes } from "../support/deadline.js";
import { freePort } from "../support/ports.js";
import { Child, PROJECT } from "../support/processes.js";
import { upOfSuite } from "../support/up.js";

const read = (name: string) => readFileSync(join(PROJECT, "docs", name), "utf8");
const GUIDE = read("build-a-chat.md");
const [ROUTE = ""] = /^'\/api\/': Proxy\(.*$/m.exec(GUIDE) ?? [];

describe("The guide for a chat, end to end", () => {
  let port = 0;
  before(async () => {
    port = await freePort();
  });
  const up = upOfSuite({
    conf: (text) => text.replace("'/': page,", `'/': page,\n        ${ROUTE.replace("3000", String(port))}`),
    html: { "chat.html": read("examples/chat.html") },
  });

  test("two browsers see what is said through the backend, in order, and a third one what was said before", async (t) => {
    const { url, dir } = up();
    const env = { ...process.env, HUB: `${url}/.well-known/mercure`, PORT: String(port) };
    const server = new Child(process.execPath, [join(PROJECT, "docs/examples/chat-server.mjs")], dir, env);
    t.after(() => server.end("SIGTERM"));
    const changes = new Changes();
    server.process.stdout?.on("data", () => changes.tell());
    await changes.until(() => server.stdout !== "", "the backend to listen");
    const open = async () => openPage(await openBrowser(t), `${url}/chat.html`);
    const [one, two] = [await open(), await open()];
    const say = async ({ page }: typeof one, text: string) => {
      await page.getByRole("textbox", { name: "Message" }).fill(text);
      await page.getByRole("button", { name: "Send" }).click();
      for (const it of [one, two]) await it.page.getByText(`: ${text}`, { exact: false }).waitFor();
    };
    await say(one, "hello <b>there</b>");
    await say(two, "good morning");
    await say(one, "again");
    const lines = await one.page.locator("li").allTextContents();
    assert.deepEqual(
      lines.map((line) => line.replace(/^guest-[0-9a-f]{4}: /, "")),
      ["hello <b>there</b>", "good morning", "again"],
    );
    const [first, second, third] = lines.map((line) => line.split(":")[0]);
    assert.ok(first === third && first !== second, "each visitor has a name");
    const three = await open();
    await three.page.getByText(": again").waitFor();
    assert.deepEqual(await three.page.locator("li").allTextContents(), lines);
    server.process.kill();
    await once(server.process, "exit");
    await one.page.getByRole("textbox", { name: "Message" }).fill("into the void");
    const refused = one.page.waitForResponse(/\/api\/say$/);
    await one.page.getByRole("button", { name: "Send" }).click();
    assert.ok((await refused).status() >= 500);
    assert.equal(await one.page.getByRole("textbox", { name: "Message" }).inputValue(), "into the void");
    assert.deepEqual([...two.faults, ...three.faults], []);
  });
});
