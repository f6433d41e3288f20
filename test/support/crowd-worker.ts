/**
 * The worker of LightCrowd: many EventSources over plain TCP, which keep of each event its number only. Parsing of 100,000 events a second
 * takes half a core here, and several with SseClient.
 */
import { connect, type Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import type { CrowdReport, CrowdRequest, CrowdWorkerData } from "./light-crowd.js";

/** Before a client connects again. */
const RETRY_MS = 100;

const { ports, size } = workerData as CrowdWorkerData;
/** The id of each number; and numbers that came under a second id: published twice. */
const ids = new Map<number, string>();
const publishedTwice = new Set<number>();

class LightClient {
  readonly received: number[] = [];
  readonly numbers = new Set<number>();
  gapCount = 0;
  openCount = 0;
  readonly #port: number;
  #socket: Socket | undefined;
  #lastEventId = "";
  #rest = "";
  #isHead = true;
  #type = "";
  #data = "";

  constructor(port: number) {
    this.#port = port;
    this.#connect();
  }

  get isOpen(): boolean {
    return this.#lastEventId !== "";
  }

  #connect(): void {
    this.#rest = "";
    this.#isHead = true;
    const last = this.isOpen ? `Last-Event-ID: ${this.#lastEventId}\r\n` : "";
    const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    this.#socket = socket;
    socket.write(`GET /esupdates HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n${last}\r\n`);
    socket.setEncoding("latin1");
    socket.on("data", (text) => this.#read(String(text)));
    socket.on("error", () => {});
    socket.on("close", () => setTimeout(() => this.#connect(), RETRY_MS));
  }

  #read(text: string): void {
    const all = this.#rest + text;
    let start = 0;
    for (let end = all.indexOf("\n"); end >= 0; end = all.indexOf("\n", start)) {
      this.#line(all.slice(start, end));
      start = end + 1;
    }
    this.#rest = all.slice(start);
  }

  #line(line: string): void {
    if (this.#isHead) this.#headLine(line);
    else if (line === "") this.#dispatch();
    else if (line.startsWith("data: ")) this.#data = line.slice(6);
    else if (line.startsWith("event: ")) this.#type = line.slice(7);
    else if (line.startsWith("id: ")) this.#lastEventId = line.slice(4);
  }

  #headLine(line: string): void {
    if (line.startsWith("HTTP/1.1 ") && !line.startsWith("HTTP/1.1 200 ")) this.#socket?.destroy();
    if (line !== "\r") return;
    this.#isHead = false;
    this.openCount++;
  }

  #dispatch(): void {
    const [type, data] = [this.#type, this.#data];
    this.#type = this.#data = "";
    if (type === "m2push-gap") this.gapCount++;
    if (type !== "" || data === "") return;
    const number = Number(data);
    this.received.push(number);
    this.numbers.add(number);
    const id = ids.get(number);
    if (id === undefined) ids.set(number, this.#lastEventId);
    else if (id !== this.#lastEventId) publishedTwice.add(number);
  }
}

const clients = Array.from({ length: size }, (_, index) => new LightClient(ports[index % ports.length] as number));

function report(): CrowdReport {
  return {
    received: clients.map(({ received }) => Int32Array.from(received)),
    gapCount: clients.reduce((sum, { gapCount }) => sum + gapCount, 0),
    openCounts: clients.map(({ openCount }) => openCount),
    ids: [...ids],
    publishedTwice: [...publishedTwice],
  };
}

parentPort?.on("message", (request: CrowdRequest) => {
  if (request === "report") return parentPort?.postMessage(report());
  const count = request.count;
  const has = ({ isOpen, numbers }: LightClient) => isOpen && numbers.size >= count;
  return parentPort?.postMessage(clients.filter((client) => !has(client)).length);
});
