/**
 * Pushpin with its Mongrel2, adapter, proxy, handler and zurl, as Debian packages it, in a folder of its own, and an origin server
 * that answers every request with "hold this stream".
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "../../test/support/ports.js";
import { Child, removeDirectory, temporaryDirectory } from "../../test/support/processes.js";
import { familyOf, MEASURED_CORE, pin, publishVia } from "../tools.js";
import { type Contestant, missingPrograms } from "./contestant.js";

const INTERNAL = "/usr/lib/pushpin/internal.conf";

export const pushpin: Contestant = {
  name: "Pushpin",
  what: "Pushpin as Debian packages it: Mongrel2, m2adapter, proxy, handler and zurl",
  missing: () =>
    missingPrograms(INTERNAL, "pushpin", "pushpin-proxy", "pushpin-handler", "m2adapter", "zurl", "mongrel2"),
  async start() {
    const dir = temporaryDirectory();
    const origin = await startOrigin();
    const [port, publishPort] = [await freePort(), await freePort()];
    for (const name of ["run", "log"]) mkdirSync(join(dir, name));
    writeFileSync(join(dir, "pushpin.conf"), await conf(dir, port, publishPort));
    writeFileSync(join(dir, "routes"), `* 127.0.0.1:${portOf(origin)}\n`);
    const runner = new Child("pushpin", ["--config", join(dir, "pushpin.conf")], dir);
    await ready(port, runner);
    const family = familyOf(runner.pid);
    for (const pid of family) pin(pid, MEASURED_CORE);
    return {
      port,
      path: "/?topic=all",
      topicPath: "/?topic=c%d",
      servers: family,
      handlers: [],
      publish: (publishing) =>
        publishVia("pushpin-zmq", `tcp://127.0.0.1:${publishPort}`, publishing, publishing.topics ? "c%d" : "all"),
      async stop() {
        await runner.end("SIGTERM");
        origin.closeAllConnections();
        origin.close();
        removeDirectory(dir);
      },
    };
  },
};

/** Answers by the GRIP protocol: the stream is held and follows a channel. */
async function startOrigin(): Promise<Server> {
  const server = createServer((request, response) => {
    const channel = new URL(request.url ?? "/", "http://origin").searchParams.get("topic") ?? "all";
    response.writeHead(200, {
      "Content-Type": "text/event-stream",
      "Grip-Hold": "stream",
      "Grip-Channel": channel,
    });
    response.end(": time stream\n\n");
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the origin has no port");
  return address.port;
}

/** Until a request is answered by the origin: all its parts have found each other. */
async function ready(port: number, runner: Child): Promise<void> {
  for (const end = Date.now() + 20_000; !(await answers(port)); await pause(50)) {
    if (runner.exit || Date.now() > end) throw new Error(`Pushpin did not start: ${runner.stdout}${runner.stderr}`);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () =>
      socket.write("GET /?topic=none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    );
    const end = (found: boolean) => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(1000, () => end(false));
    socket.on("error", () => end(false)).on("close", () => end(false));
    socket.on("data", (text) => end(text.includes("200 OK")));
  });
}

async function conf(dir: string, port: number, publishPort: number): Promise<string> {
  return `
[global]
include=${INTERNAL}
rundir=${dir}/run
ipc_prefix=pushpin-
port_offset=0
stats_connection_ttl=120
[runner]
services=mongrel2,m2adapter,zurl,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:${port}
logdir=${dir}/log
log_level=1
client_buffer_size=8192
client_maxconn=20000
mongrel2_bin=mongrel2
m2sh_bin=m2sh
zurl_bin=zurl
[proxy]
routesfile=${dir}/routes
zurl_out_specs=ipc://{rundir}/{ipc_prefix}zurl-in
zurl_out_stream_specs=ipc://{rundir}/{ipc_prefix}zurl-in-stream
zurl_in_specs=ipc://{rundir}/{ipc_prefix}zurl-out
[handler]
push_in_spec=tcp://127.0.0.1:${publishPort}
push_in_sub_specs=tcp://127.0.0.1:${await freePort()}
push_in_http_addr=127.0.0.1
push_in_http_port=${await freePort()}
stats_spec=ipc://{rundir}/{ipc_prefix}stats
command_spec=tcp://127.0.0.1:${await freePort()}
message_rate=1000000
message_hwm=1000000
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
`;
}
