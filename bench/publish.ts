/**
 * Acknowledged publishing, durability "commit": over HTTP through one real Mongrel2 with a signed token for each event, and over ZeroMQ with
 * REQ sockets (one event at a time, as HTTP) and DEALER sockets (100 under way). Every publisher has one connection and sends its next event
 * when an earlier one was acknowledged. Mongrel2 and the daemon share one core; the publishers, raw sockets in a process of their own, have
 * the other. "HTTP batch" sends 100 events as JSON lines in each request. `node build/bench/publish.js [rounds] [seconds] [protocol]`.
 */
import { spawn } from "node:child_process";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { SignJWT } from "jose";
import { FrameReader } from "../src/protocol/frame-reader.js";
import { GREETING, partsFrame, readyFrame } from "../src/protocol/zmtp.js";
import { startDaemon } from "../test/support/daemon.js";
import { startMongrel2 } from "../test/support/mongrel2.js";
import { freePort } from "../test/support/ports.js";
import { cpuSeconds, LOAD_CORE, MEASURED_CORE, pin } from "./tools.js";

const SECRET = "a secret of more than thirty-two bytes, for the bench";
const DATA = "x".repeat(100);

/** Protocol and number of publishers. */
const RUNS = [
  ["HTTP", 1],
  ["REQ", 1],
  ["HTTP", 16],
  ["REQ", 16],
  ["DEALER", 16],
  ["HTTP", 64],
  ["REQ", 64],
  ["DEALER", 64],
  ["HTTP batch", 1],
  ["HTTP batch", 16],
] as const;

/** Events of one request of "HTTP batch", as JSON lines. */
const BATCH_COUNT = 100;
const BATCH = `${JSON.stringify({ topic: "bench", data: DATA })}\n`.repeat(BATCH_COUNT);

interface Result {
  readonly acknowledged: number;
  readonly refused: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** What a publisher sends and reads. */
interface Protocol {
  /** Events without an acknowledgement at a time. */
  readonly underWay: number;
  /** Sent once, at the beginning. */
  readonly opening: Buffer;
  readonly event: Buffer;
  /** Returns a function that takes what is received and returns the replies that it completes: true = acknowledged. */
  reader(): (bytes: Buffer) => boolean[];
}

function http(token: string, type: string, body: string): Protocol {
  const head = [
    "POST /.well-known/mercure HTTP/1.1",
    "Host: localhost",
    `Authorization: Bearer ${token}`,
    `Content-Type: ${type}`,
    `Content-Length: ${body.length}`,
  ];
  return {
    underWay: 1,
    opening: Buffer.alloc(0),
    event: Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`),
    reader() {
      let text = "";
      return (bytes) => {
        text += bytes.toString("latin1");
        const end = text.indexOf("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
        if (end < 0 || text.length < end + 4 + length) return [];
        const isAcknowledged = text.startsWith("HTTP/1.1 200 ");
        text = "";
        return [isAcknowledged];
      };
    },
  };
}

function zmq(type: "REQ" | "DEALER", underWay: number): Protocol {
  const parts = ["bench", DATA].map((part) => Buffer.from(part));
  return {
    underWay,
    opening: Buffer.concat([GREETING, readyFrame(type)]),
    event: partsFrame(type === "REQ" ? [Buffer.alloc(0), ...parts] : parts),
    reader() {
      const frames = new FrameReader();
      let greetingBytes = GREETING.length;
      return (bytes) => {
        const skipped = Math.min(greetingBytes, bytes.length);
        greetingBytes -= skipped;
        frames.feed(bytes.subarray(skipped));
        const replies: boolean[] = [];
        for (let frame = frames.next(); frame; frame = frames.next()) {
          if (!frame.isCommand && !frame.more) replies.push(frame.body.toString().startsWith('{"id":'));
        }
        return replies;
      };
    },
  };
}

function protocolOf(name: string, token: string): Protocol {
  if (name === "HTTP") return http(token, "application/x-www-form-urlencoded", `topic=bench&data=${DATA}`);
  if (name === "HTTP batch") return http(token, "application/x-ndjson", BATCH);
  return name === "REQ" ? zmq("REQ", 1) : zmq("DEALER", 100);
}

/** Publishes for some seconds over one connection; gives the milliseconds that each event took. */
function publishFor(port: number, protocol: Protocol, until: number): Promise<{ took: number[]; refused: number }> {
  return new Promise((resolve, reject) => {
    const took: number[] = [];
    const sent: number[] = [];
    let refused = 0;
    const read = protocol.reader();
    const send = (count: number) => {
      const now = performance.now();
      for (let event = 0; event < count; event++) sent.push(now);
      socket.write(Buffer.concat(Array<Buffer>(count).fill(protocol.event)));
    };
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => {
      socket.write(protocol.opening);
      send(protocol.underWay);
    });
    socket.on("error", reject).on("data", (bytes: Buffer) => {
      const replies = read(bytes);
      const now = performance.now();
      for (const isAcknowledged of replies) {
        const started = sent.shift() ?? Number.NaN;
        if (isAcknowledged) took.push(now - started);
        else refused++;
      }
      if (now < until && replies.length > 0) return send(replies.length);
      if (sent.length > 0) return;
      socket.destroy();
      resolve({ took, refused });
    });
  });
}

/** The process of the publishers: prints a Result. */
async function client(name: string, port: number, publishers: number, seconds: number, token: string): Promise<void> {
  const protocol = protocolOf(name, token);
  const start = performance.now();
  const all = await Promise.all(
    Array.from({ length: publishers }, () => publishFor(port, protocol, start + seconds * 1000)),
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
function publishers(name: string, port: number, count: number, seconds: number, token: string): Promise<Result> {
  const args = ["-c", LOAD_CORE, process.execPath, fileURLToPath(import.meta.url)];
  const child = spawn("taskset", [...args, "client", name, `${port}`, `${count}`, `${seconds}`, token], {
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

/** `only`: the protocol to measure; absent = all. */
async function measure(rounds: number, seconds: number, only?: string): Promise<void> {
  const mongrel2 = await startMongrel2({ settings: { "disable.access_logging": 1 } });
  pin(mongrel2.pid, MEASURED_CORE);
  const { sendSpec, recvSpec, sendIdent, port } = mongrel2;
  const zmqPort = await freePort();
  const config = `
[[mongrel2]]
send_spec = "${sendSpec}"
recv_spec = "${recvSpec}"
send_ident = "${sendIdent}"
[publish]
zmq = "tcp://127.0.0.1:${zmqPort}"
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
    const runs = RUNS.filter(([name]) => only === undefined || name === only);
    for (let round = 1; round <= rounds; round++) {
      for (const [name, count] of runs) {
        const before = [cpuSeconds(daemon.pid), cpuSeconds(mongrel2.pid)];
        const it = await publishers(name, name.startsWith("HTTP") ? port : zmqPort, count, seconds, token);
        const cpu = [cpuSeconds(daemon.pid) - (before[0] ?? 0), cpuSeconds(mongrel2.pid) - (before[1] ?? 0)];
        rows.push({
          over: name,
          publishers: count,
          "events/s": Math.round((it.acknowledged * (name === "HTTP batch" ? BATCH_COUNT : 1)) / it.seconds),
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
if (role === "client") await client(first, Number(rest[0]), Number(rest[1]), Number(rest[2]), rest[3] ?? "");
else await measure(Number(role), Number(first), rest[0]);
