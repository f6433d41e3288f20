/** m2push as its users run it: the built daemon with its history and client store on disk, beside a Mongrel2. */
import { startDaemon } from "../../test/support/daemon.js";
import { type Mongrel2, startMongrel2 } from "../../test/support/mongrel2.js";
import { freePort } from "../../test/support/ports.js";
import { MEASURED_CORE, pin, publish } from "../tools.js";
import { type Contestant, MONGREL2, missingPrograms } from "./contestant.js";

export const m2push: Contestant = {
  name: "m2push",
  what: "the daemon of this project, history and clients kept in LMDB, beside Mongrel2",
  missing: () => missingPrograms("mongrel2", "m2sh"),
  async start() {
    const mongrel2 = await startMongrel2(MONGREL2);
    pin(mongrel2.pid, MEASURED_CORE);
    const spec = `tcp://127.0.0.1:${await freePort()}`;
    const daemon = startDaemon({ config: configFor([mongrel2], spec) });
    await daemon.logged(({ event }) => event === "live", "Mongrel2 to answer");
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
  },
};

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
