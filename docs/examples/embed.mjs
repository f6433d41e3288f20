// A program with the daemon inside: it publishes the time once a second and prints who connects.
import { loadConfig, openLog, startDaemon } from "m2push";

const { config } = loadConfig({ file: "m2push.toml" });
const daemon = await startDaemon(config, { log: openLog("silent") });
console.log(`event stream at ${daemon.address.stream}`);

daemon.on("clientConnected", ({ clients }) => console.log(`connected, clients: ${clients}`));
daemon.on("clientDisconnected", ({ reason, clients }) => console.log(`disconnected (${reason}), clients: ${clients}`));

const timer = setInterval(() => {
  daemon
    .publish({ topics: ["time"], data: new Date().toISOString() })
    .then(({ id }) => console.log(`published ${id}`))
    .catch((error) => console.error(`not published: ${error.message}`));
}, 1000);

process.once("SIGTERM", async () => {
  clearInterval(timer);
  await daemon.stop();
});
