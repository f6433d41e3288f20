/**
 * `npm run dev`: Mongrel2 and the daemon as `npm start` runs them; after each change of a source that compiles, a new daemon takes
 * the place of the old one (`m2push serve --takeover`), so that open streams stay open. Ctrl-C stops all.
 */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CONFIG = "config/m2push.toml";
const MONGREL2_CONF = "config/mongrel2.conf";
process.chdir(ROOT);

const prepared = spawnSync("bash", ["setup.sh", "run"], { stdio: "inherit" });
if (prepared.status !== 0) process.exit(prepared.status ?? 1);

const say = (text) => console.log(`dev: ${text}`);
const load = (path) => import(join(ROOT, "dist", path));
const [{ Mongrel2Process }, { issueKey }, { systemClock }, { loadConfig }] = await Promise.all(
  ["mongrel2/mongrel2-process.js", "http/auth/issue-key.js", "util/clock.js", "config/load-config.js"].map(load),
);

/** A key for publishers, as `m2push up` creates one where none is configured. */
async function environment() {
  const { auth, history } = loadConfig({ file: CONFIG, env: process.env }).config;
  if (auth.publisher_key !== "") return process.env;
  const { keyFile, tokenFile } = await issueKey(history.path, auth.issuer);
  say(
    `publish: curl -H "Authorization: Bearer $(cat ${tokenFile})" -d topic=news -d data=hello http://localhost:6767/.well-known/mercure`,
  );
  return { ...process.env, M2PUSH_AUTH_PUBLISHER_KEY: keyFile };
}

const env = await environment();
const mongrel2 = new Mongrel2Process(MONGREL2_CONF, systemClock, {
  started: (pid) => say(`Mongrel2 started, pid ${pid}`),
  exited: (how, waitMs) => say(`Mongrel2 exited (${how}); restarting it in ${waitMs} ms`),
});
await mongrel2.prepare();

let daemon;

/** Starts a daemon, which tells the running one to stop and adopts its streams. */
function startDaemon() {
  const started = spawn(
    process.execPath,
    ["--enable-source-maps", "dist/cli/main.js", "serve", "--takeover", "-c", CONFIG],
    {
      env,
      stdio: "inherit",
      // A group of its own: Ctrl-C must reach it once, through stop().
      detached: true,
    },
  );
  started.once("exit", (code, signal) => {
    if (started === daemon && !isStopping)
      say(`the daemon exited (${signal ?? `code ${code}`}); the next change starts it again`);
  });
  daemon = started;
}

let isStopping = false;

async function stop() {
  if (isStopping) return;
  isStopping = true;
  compiler.kill();
  if (daemon && daemon.exitCode === null && daemon.signalCode === null) {
    const ended = new Promise((resolve) => daemon.once("exit", resolve));
    daemon.kill("SIGTERM");
    await ended;
  }
  await mongrel2.stop();
  process.exit(0);
}

// Without npx, which would leave its child running when it is killed.
const compilerArgs = [
  "node_modules/typescript/bin/tsc",
  "-p",
  "tsconfig.build.json",
  "--watch",
  "--preserveWatchOutput",
];
const compiler = spawn(process.execPath, compilerArgs, { stdio: ["ignore", "pipe", "inherit"] });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => void stop());
await mongrel2.start();
createInterface({ input: compiler.stdout }).on("line", (line) => {
  console.log(line);
  // The compiler reports each run by this line; with errors the running daemon stays.
  if (!isStopping && /Found 0 errors\./.test(line)) startDaemon();
});
