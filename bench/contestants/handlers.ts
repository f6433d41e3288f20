/** Handlers without a daemon's cares, as baselines: they make their events themselves, and take orders on stdin. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Mongrel2, startMongrel2 } from "../../test/support/mongrel2.js";
import { freePort } from "../../test/support/ports.js";
import { MEASURED_CORE, type Publishing, pin, publish, SOURCES, tool } from "../tools.js";
import { type Contestant, MONGREL2, missingPrograms, type Running } from "./contestant.js";

export const cHandler: Contestant = {
  name: "C handler",
  what: "bench/tools/handler.c, a bare handler on libzmq that makes its events itself, beside Mongrel2",
  missing: () => missingPrograms("mongrel2", "m2sh", "gcc"),
  start: () => start(() => [tool("handler")]),
};

/** The same, but for where its events come from: through ZeroMQ, from the publisher that m2push has. */
export const fedHandler: Contestant = {
  name: "C handler (fed)",
  what: "the same handler, which takes its events from the publisher that m2push takes them from",
  missing: cHandler.missing,
  async start() {
    const spec = `tcp://127.0.0.1:${await freePort()}`;
    const running = await start((mongrel2) => [tool("handler"), mongrel2.sendSpec, mongrel2.recvSpec, spec]);
    return { ...running, publish: (publishing) => publish(spec, publishing) };
  },
};

export const pythonHandler: Contestant = {
  name: "Python handler",
  what: "bench/tools/handler.py, the tutorial's handler on pyzmq, beside Mongrel2",
  missing: () => missingPrograms("mongrel2", "m2sh", "/usr/bin/python3") ?? missingPyzmq(),
  async start() {
    return { ...(await start(() => ["/usr/bin/python3", join(SOURCES, "handler.py")])), topicPath: undefined };
  },
};

function missingPyzmq(): string | undefined {
  try {
    execFileSync("/usr/bin/python3", ["-c", "import zmq"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "python3-zmq not installed";
  }
}

/** `command`: the program, and its arguments if they are not just the two specs. */
async function start(command: (mongrel2: Mongrel2) => string[]): Promise<Running> {
  const mongrel2 = await startMongrel2(MONGREL2);
  pin(mongrel2.pid, MEASURED_CORE);
  const [program = "", ...args] = command(mongrel2);
  const specs = args.length > 1 ? [] : [mongrel2.sendSpec, mongrel2.recvSpec];
  const handler = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", "--", "taskset", "-c", MEASURED_CORE, program, ...args, ...specs],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  handler.stdin.on("error", () => {}); // it has ended
  const ended = new Promise<void>((resolve) => handler.once("close", () => resolve()));
  await pause(200); // until its sockets are connected: a PUB loses what is sent before
  return {
    port: mongrel2.port,
    path: "/esupdates",
    topicPath: "/esupdates?topic=c%d",
    servers: [mongrel2.pid],
    handlers: [handler.pid ?? 0],
    publish: (publishing) => order(handler, publishing),
    async stop() {
      handler.kill("SIGKILL");
      await ended;
      await mongrel2.stop();
    },
  };
}

/** Resolves when the handler says that it is done, or has ended. */
function order(handler: ChildProcess, { rate = 0, seconds = 1, burst = 0, bytes = 100, topics = 0 }: Publishing) {
  const done = new Promise<void>((resolve) => {
    handler.stdout?.once("data", () => resolve());
    handler.once("close", () => resolve());
  });
  const events = burst > 0 ? burst : rate * seconds;
  const all = burst > 0 ? `burst ${burst} ${bytes}` : `rate ${rate} ${bytes} ${seconds}`;
  handler.stdin?.write(topics > 0 ? `unicast ${events} ${bytes} ${rate}\n` : `${all}\n`);
  return done;
}
