/**
 * What the two lines of a stream's life cost, into a file or a pipe: the figures go to standard error.
 * `node build/bench/log.js [lines] > FILE`, or `| cat > FILE`.
 */
import { openLog } from "../src/observability/log/logger.js";

const lines = Number(process.argv[2] ?? 100_000);
const WHO = { server: "main", client: 17, remote: "203.0.113.9", topics: ["*"], clients: 3 };

const log = openLog("info");
const [from, used] = [performance.now(), process.cpuUsage()];
for (let line = 0; line < lines; line += 2) {
  log.info({ event: "client_connected", ...WHO }, "client connected");
  log.info({ event: "client_disconnected", ...WHO, reason: "left", seconds: 61.2 }, "client disconnected");
}
const took = performance.now() - from;
const { user, system } = process.cpuUsage(used);
console.error(`${((took * 1000) / lines).toFixed(1)} us a line, ${((user + system) / lines).toFixed(1)} us of CPU`);
