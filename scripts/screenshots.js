/**
 * Writes docs/images: the gallery and the dashboard, in a real Chromium, from `m2push up` in a folder of its own with some visitors and
 * events. `npm run screenshots`; look at what changed before you commit it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
const IMAGES = join(PROJECT, "docs/images");
/** Ports of config/, and the ones that are used instead: another `npm start` may run. */
const PORTS = new Map();
for (const port of ["6767", "6780", "9999", "9998", "9997"]) PORTS.set(port, await freePort());
const [WEB, ADMIN] = [`http://localhost:${PORTS.get("6767")}`, `http://127.0.0.1:${PORTS.get("6780")}`];
const WIDTH = 1280;
/** How long visitors come before the dashboard is shown. */
const TRAFFIC_MS = Number(process.env.TRAFFIC_MS ?? 150_000);

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return String(port);
}

async function startUp(folder) {
  mkdirSync(join(folder, "config"));
  for (const name of ["m2push.toml", "mongrel2.conf"]) {
    const text = readFileSync(join(PROJECT, "config", name), "utf8");
    writeFileSync(
      join(folder, "config", name),
      text.replace(/\b\d{4}\b/g, (port) => PORTS.get(port) ?? port),
    );
  }
  symlinkSync(join(PROJECT, "html"), join(folder, "html"));
  const child = spawn(process.execPath, [join(PROJECT, "dist/cli/main.js"), "up", "-c", "config/m2push.toml"], {
    cwd: folder,
    env: { ...process.env, M2PUSH_STREAM_MAX_CLIENTS: "100" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface(child.stdout)) {
    if (!line.includes('"event":"up"')) continue;
    child.stdout.resume();
    return child;
  }
  throw new Error("m2push up ended; its error is above");
}

const publish = (fields) => fetch(`${WEB}/.well-known/mercure`, { method: "POST", body: new URLSearchParams(fields) });

/** Reads a stream until it is aborted: one that nobody reads is collected as garbage, and closed. */
async function read(url, signal) {
  try {
    const { body } = await fetch(url, { signal });
    for await (const _ of body);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Streams that come and go, and events, so that the dashboard has something to show. */
async function traffic(end) {
  const streams = [];
  for (let turn = 0; Date.now() < end; turn++) {
    const share = (end - Date.now()) / TRAFFIC_MS;
    if (streams.length < 70 * (1.2 - share)) {
      const stream = new AbortController();
      streams.push(stream);
      void read(`${WEB}/esupdates?topic=news&topic=rooms/${turn % 7}`, stream.signal);
    }
    if (turn % 23 === 0) streams.shift()?.abort();
    await publish({ topic: `rooms/${turn % 7}`, data: `event ${turn}` });
    if (turn % 3 === 0) await publish({ topic: "news", data: `news ${turn}` });
    await pause(120 + 80 * Math.sin(turn / 40));
  }
  return () => {
    for (const stream of streams) stream.abort();
  };
}

/** A page of the gallery, as `use` leaves it. */
async function shoot(browser, name, url, { colorScheme = "light", height = 760, use }) {
  const context = await browser.newContext({ colorScheme, viewport: { width: WIDTH, height } });
  const page = await context.newPage();
  await page.goto(url);
  await use(page);
  await page.screenshot({ path: join(IMAGES, `${name}.png`) });
  await context.close();
}

async function chat(page) {
  const lines = [
    ["Grace", "The release is out. Who has seen the notes?"],
    ["Ada", "Reading them. The reload in the middle of an answer is my favourite."],
    ["Shell", "build 1432 is green"],
    ["Grace", "Then I close the window, and come back after lunch."],
    ["Ada", "The last 50 messages will be here."],
  ];
  for (const [name, text] of lines) await publish({ topic: "demo/chat", data: `${name}: ${text}` });
  await page.getByText("will be here").waitFor();
  await page.locator("code span").first().waitFor();
}

async function answer(page) {
  await page.getByRole("button", { name: "Ask" }).click();
  await page.locator("#answer", { hasText: "the words come back" }).waitFor();
}

const folder = mkdtempSync(join(tmpdir(), "m2push-screenshots-"));
const up = await startUp(folder);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
try {
  await shoot(browser, "chat", `${WEB}/gallery/chat.html`, { height: 860, use: chat });
  await shoot(browser, "answer", `${WEB}/gallery/answer.html`, { colorScheme: "dark", height: 860, use: answer });
  await shoot(browser, "overview", `${WEB}/`, { height: 720, use: (page) => page.getByText("Timestamp ").waitFor() });
  const stop = await traffic(Date.now() + TRAFFIC_MS);
  const shown = (page) => page.locator("#connections tbody tr").first().waitFor();
  await shoot(browser, "dashboard", ADMIN, { height: 900, use: shown });
  stop();
} finally {
  await browser.close();
  up.kill("SIGTERM");
  await once(up, "exit");
  rmSync(folder, { recursive: true });
}
