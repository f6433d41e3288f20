/** A real Mongrel2 and the daemon beside it: what most end-to-end tests start from. */

import { connect } from "node:net";
import { after, before, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { connectionsOf } from "./control.js";
import { type Daemon, startDaemon } from "./daemon.js";
import { type Mongrel2, type Mongrel2Options, startMongrel2 } from "./mongrel2.js";
import { freePort } from "./ports.js";
import { removeDirectory, temporaryDirectory } from "./processes.js";
import { Publisher } from "./publisher.js";
import { openStream, type SseClient } from "./sse-client.js";

export interface PairOptions extends Mongrel2Options {
  /** Added to the configuration, as TOML tables by name; these win over the pair's own. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Of the daemon's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Leave the control port out of the configuration. */
  readonly noControl?: boolean;
  /** Keys of [[mongrel2]] that win over the pair's own, made when Mongrel2's addresses are known. */
  readonly server?: (mongrel2: Mongrel2) => Promise<Readonly<Record<string, unknown>>>;
}

export interface Pair {
  readonly mongrel2: Mongrel2;
  /** The daemon's folder; its data are in data/. */
  readonly dir: string;
  /** The running daemon: another one after restart(). */
  readonly daemon: Daemon;
  /** Where publishers' messages go. */
  readonly publishSpec: string;
  readonly publisher: Publisher;
  /** Opens a stream and waits until the daemon has counted it. */
  stream(headers?: Record<string, string>, path?: string): Promise<SseClient>;
  /** Resolves when Mongrel2 has last read from some connection at least this many seconds ago (by its own clock). */
  aged(seconds: number): Promise<void>;
  /** Starts a daemon again on the same data and sockets, after the last one has ended, and waits until it serves. */
  restart(): Promise<void>;
  /** Starts a daemon that takes over from the running one, and waits until it serves and the other has ended. */
  takeOver(): Promise<void>;
}

/** Starts both and waits until the daemon serves; everything ends with the test, or whatever else has an end. */
export async function startPair(test: Pick<TestContext, "after">, options: PairOptions = {}): Promise<Pair> {
  const mongrel2 = await startMongrel2(options);
  test.after(() => mongrel2.stop());
  const dir = temporaryDirectory();
  const publishSpec = `tcp://127.0.0.1:${await freePort()}`;
  const config = toml(mongrel2, publishSpec, { ...options, own: await options.server?.(mongrel2) });
  const { env = {} } = options;
  const start = (command = ["serve"]) => startDaemon({ config, dir, env, command });
  let daemon = start();
  test.after(async () => {
    await daemon.stop();
    // Not before: a running daemon makes its data folder again.
    removeDirectory(dir);
  });
  await serving(daemon);
  const publisher = new Publisher(publishSpec);
  test.after(() => publisher.close());
  return {
    mongrel2,
    dir,
    get daemon() {
      return daemon;
    },
    publishSpec,
    publisher,
    async stream(headers = {}, path = "/esupdates") {
      const client = await openStream(`${mongrel2.url}${path}`, headers);
      if (client.status === 200) await client.until(({ lastEventId }) => lastEventId !== "", "its first position");
      test.after(() => client.close());
      return client;
    },
    async aged(seconds) {
      const old = async () => (await connectionsOf(mongrel2)).some(({ lastRead }) => lastRead >= seconds);
      while (!(await old())) await pause(100);
    },
    async restart() {
      daemon = start();
      await serving(daemon);
    },
    async takeOver() {
      const old = daemon;
      daemon = start(["serve", "--takeover"]);
      test.after(() => old.stop());
      await Promise.all([serving(daemon), old.closed]);
    },
  };
}

/** One pair for all tests of a describe block or file: it starts before the first of them and ends after the last. */
export function pairOfSuite(options: PairOptions = {}): () => Pair {
  const ends: (() => unknown)[] = [];
  let pair: Pair | undefined;
  before(async () => {
    const lifetime = { after: (end: () => unknown) => void ends.push(end) };
    pair = await startPair(lifetime as Pick<TestContext, "after">, options);
  });
  after(async () => {
    for (const end of ends.reverse()) await end();
  });
  return () => {
    if (pair === undefined) throw new TypeError("no test runs yet");
    return pair;
  };
}

/** Resolves when the daemon has started, and has said that Mongrel2 answers, from line `from` of its log on. */
export async function serving(daemon: Daemon, from = 0): Promise<void> {
  await daemon.logged(({ event }) => event === "started", "the daemon to start");
  await daemon.logged(({ event }) => event === "link_live", "Mongrel2 to answer", { from });
}

/** Whether something listens. */
export function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true));
    socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
  });
}

interface TomlOptions extends PairOptions {
  readonly own: Readonly<Record<string, unknown>> | undefined;
}

function toml(
  mongrel2: Mongrel2,
  publishSpec: string,
  { config = {}, noControl = false, own: keys }: TomlOptions,
): string {
  const server = {
    name: "main",
    send_spec: mongrel2.sendSpec,
    recv_spec: mongrel2.recvSpec,
    send_ident: mongrel2.sendIdent,
    ...(!noControl && { control: mongrel2.controlSpec }),
    ...keys,
  };
  const own: Record<string, Record<string, unknown>> = {
    beacon: { interval: "0" },
    publish: { zmq: publishSpec },
    history: { path: "data" },
    admin: { listen: "" },
  };
  const tables = Object.keys({ ...own, ...config }).map((name) =>
    table(`[${name}]`, { ...own[name], ...config[name] }),
  );
  return [table("[[mongrel2]]", server), ...tables].join("\n");
}

function table(name: string, values: Readonly<Record<string, unknown>>): string {
  return [name, ...Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`), ""].join("\n");
}
