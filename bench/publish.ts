/**
 * Publishing over HTTP through one real Mongrel2: acknowledged publishes a second, durability "commit", a signed token with
 * each. Every publisher has one keep-alive connection and sends its next event when the last one was acknowledged. Mongrel2 and
 * the daemon share one core; the publishers, raw sockets in a process of their own, have the other.
 * `node build/bench/publish.js [rounds] [seconds]`.
 */
import { spawn } from "node:child_process";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { SignJWT } from "jose";
import { startDaemon } from "../test/support/daemon.js";
import { startMongrel2 } from "../test/support/mongrel2.js";
import { cpuSeconds, LOAD_CORE, MEASURED_CORE, pin } from "./tools.js";

const SECRET = "a secret of more than thirty-two bytes, for the bench";
const DATA = "x".repeat(100);

interface Result {
  readonly acknowledged: number;
  readonly refused: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** Publishes for some seconds over one connection, one event at a time; gives the milliseconds that each took. */
function publishFor(port: number, request: Buffer, until: number): Promise<{ took: number[]; refused: number }> {
  return new Promise((resolve, reject) => {
    const took: number[] = [];
    let [sent, refused, text] = [0, 0, ""];
    const next = () => {
      sent = performance.now();
      socket.write(request);
    };
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, next);
    socket.setEncoding("latin1").on("error", reject);
    socket.on("data", (some: string) => {
      text += some;
      const head = text.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
      if (head < 0 || text.length < head + 4 + length) return;
      if (text.startsWith("HTTP/1.1 200 ")) took.push(performance.now() - sent);
      else refused++;
      text = "";
      if (performance.now() < until) return next();
      socket.destroy();
      resolve({ took, refused });
    });
  });
}

/** The process of the publishers: prints a Result. */
async function client(port: number, publishers: number, seconds: number, token: string): Promise<void> {
  const body = `topic=bench&data=${DATA}`;
  const head = [
    "POST /.well-known/mercure HTTP/1.1",
    "Host: localhost",
    `Authorization: Bearer ${token}`,
    "Content-Type: application/x-www-form-urlencoded",
    `Content-Length: ${body.length}`,
  ];
  const request = Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`);
  const start = performance.now();
  const all = await Promise.all(
    Array.from({ length: publishers }, () => publishFor(port, request, start + seconds * 1000)),
  );
  const took = all.flatMap((it) => it.took).sort((a, b) => a - b);
  const refused = all.reduce((sum, it) => sum + it.refused, 0);
  const at = (share: number) => took[Math.floor(took.length * share)] ?? Number.NaN;
  const result: Result = {
    acknowledged: took.length,
    refused,
    seconds: (performance.now() - start) / 1000,
    p50: at(0.5),
    p99: at(0.99),
  };
  process.stdout.write(JSON.stringify(result));
}

/** Runs the publishers in a process of their own. */
function publishers(port: number, count: number, seconds: number, token: string): Promise<Result> {
  const args = ["-c", LOAD_CORE, process.execPath, fileURLToPath(import.meta.url)];
  const child = spawn("taskset", [...args, "client", `${port}`, `${count}`, `${seconds}`, token], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (some: string) => {
    text += some;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve(JSON.parse(text)) : reject(new Error(`exit ${code}`))));
  });
}

async function measure(rounds: number, seconds: number): Promise<void> {
  const mongrel2 = await startMongrel2({ settings: { "disable.access_logging": 1 } });
  pin(mongrel2.pid, MEASURED_CORE);
  const { sendSpec, recvSpec, sendIdent, port } = mongrel2;
  const config = `
[[mongrel2]]
send_spec = "${sendSpec}"
recv_spec = "${recvSpec}"
send_ident = "${sendIdent}"
[publish]
zmq = ""
[beacon]
interval = "0"
[admin]
listen = ""
[history]
path = "data"
durability = "commit"
[auth]
publisher_key = "${SECRET}"
`;
  const claims = new SignJWT({ mercure: { publish: ["*"] } }).setProtectedHeader({ alg: "HS256" });
  const token = await claims.sign(Buffer.from(SECRET));
  const rows: Record<string, unknown>[] = [];
  const daemon = startDaemon({ config });
  try {
    await daemon.logged(({ event }) => event === "link_live", "Mongrel2 to answer");
    pin(daemon.pid, MEASURED_CORE);
    for (let round = 1; round <= rounds; round++) {
      for (const count of [1, 16, 64]) {
        const before = [cpuSeconds(daemon.pid), cpuSeconds(mongrel2.pid)];
        const it = await publishers(port, count, seconds, token);
        const cpu = [cpuSeconds(daemon.pid) - (before[0] ?? 0), cpuSeconds(mongrel2.pid) - (before[1] ?? 0)];
        rows.push({
          publishers: count,
          "acknowledged/s": Math.round(it.acknowledged / it.seconds),
          refused: it.refused,
          "p50 ms": it.p50.toFixed(2),
          "p99 ms": it.p99.toFixed(2),
          "cpu s daemon/mongrel2": cpu.map((used) => used.toFixed(1)).join("/"),
        });
      }
    }
  } finally {
    await daemon.stop();
    await mongrel2.stop();
  }
  console.table(rows);
}

const [role = "3", first = "5", ...rest] = process.argv.slice(2);
if (role === "client") await client(Number(first), Number(rest[0]), Number(rest[1]), rest[2] ?? "");
else await measure(Number(role), Number(first));
