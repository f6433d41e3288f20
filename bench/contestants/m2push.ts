/** m2push as its users run it: the built daemon with its history, its clients and its log on disk, beside a Mongrel2. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Mongrel2, startMongrel2 } from "../../test/support/mongrel2.js";
import { freePort } from "../../test/support/ports.js";
import { Child, PROJECT, removeDirectory, temporaryDirectory } from "../../test/support/processes.js";
import { MEASURED_CORE, pin, publish } from "../tools.js";
import { type Contestant, MONGREL2, missingPrograms, type Running } from "./contestant.js";

export const m2push: Contestant = {
  name: "m2push",
  what: "the daemon of this project, history and clients kept in LMDB, beside Mongrel2",
  missing: () => missingPrograms("mongrel2", "m2sh"),
  start: () => startBuild(PROJECT),
};

/** The daemon that was built in some checkout's dist/. `more`: added to its configuration, as TOML. */
export async function startBuild(project: string, more = ""): Promise<Running> {
  const mongrel2 = await startMongrel2(MONGREL2);
  pin(mongrel2.pid, MEASURED_CORE);
  const spec = `tcp://127.0.0.1:${await freePort()}`;
  const daemon = await startLogged(project, configFor([mongrel2], spec, more));
  pin(daemon.pid, MEASURED_CORE);
  return {
    port: mongrel2.port,
    path: "/esupdates",
    topicPath: "/esupdates?topic=c%d",
    servers: [mongrel2.pid],
    handlers: [daemon.pid],
    publish: (publishing) => publish(spec, publishing),
    async stop() {
      await daemon.stop();
      await mongrel2.stop();
    },
  };
}

/** A daemon whose log is not read: a reader would use CPU time of the measured core. */
async function startLogged(project: string, config: string) {
  const dir = temporaryDirectory();
  const [file, log] = [join(dir, "m2push.toml"), join(dir, "m2push.log")];
  writeFileSync(file, config);
  const command = [process.execPath, join(project, "dist/cli/main.js"), "serve", "-c", file];
  const child = new Child("sh", ["-c", `exec "$0" "$@" >${log}`, ...command], dir);
  // Builds before the names of 0.1.0 log "live".
  const isLive = () => existsSync(log) && /"event":"(?:link_)?live"/.test(readFileSync(log, "utf8"));
  while (!isLive()) {
    if (child.exit) throw new Error(`the daemon ended: ${child.stderr}`);
    await pause(10);
  }
  const stop = async () => {
    await child.end("SIGTERM");
    removeDirectory(dir);
  };
  return { pid: child.pid, stop };
}

/** A daemon's configuration for some Mongrel2s; `spec` is where publishers connect. */
export function configFor(servers: readonly Mongrel2[], spec: string, more = ""): string {
  const tables = servers.map(
    ({ sendSpec, recvSpec, sendIdent, controlSpec }, i) => `[[mongrel2]]
name = "server-${i + 1}"
send_spec = "${sendSpec}"
recv_spec = "${recvSpec}"
send_ident = "${sendIdent}"
control = "${controlSpec}"
`,
  );
  return `${tables.join("")}[publish]
zmq = "${spec}"
[beacon]
interval = "0"
[admin]
listen = ""
[history]
path = "data"
${more}`;
}
