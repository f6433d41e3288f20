/** Real NATS servers with JetStream, for one test, on ports and in directories of their own; and a wire to them that can be cut. */
import { rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { listening } from "./mongrel2.js";
import { freePort } from "./ports.js";
import { Child, type Exit, removeDirectory, temporaryDirectory } from "./processes.js";

export interface NatsServerOptions {
  /** Added to the configuration, in NATS' own form: authorization, tls, limits. */
  readonly more?: string;
  /** Where its routes lead, when it is one of several. */
  readonly cluster?: { readonly name: string; readonly port: number; readonly routes: readonly number[] };
}

export class NatsServer {
  readonly dir: string;
  readonly port: number;
  readonly #name: string;
  #child: Child | undefined;

  constructor(port: number, { more = "", cluster }: NatsServerOptions = {}) {
    this.port = port;
    this.dir = temporaryDirectory();
    this.#name = `n${port}`;
    const routes = cluster?.routes.map((route) => `"nats://127.0.0.1:${route}"`).join(", ");
    const lines = [
      `listen: "127.0.0.1:${port}"`,
      `server_name: ${this.#name}`,
      `jetstream { store_dir: ${JSON.stringify(join(this.dir, "store"))}, max_mem: 64MB, max_file: 256MB }`,
      cluster ? `cluster { name: ${cluster.name}, listen: "127.0.0.1:${cluster.port}", routes: [${routes}] }` : "",
      more,
    ];
    writeFileSync(join(this.dir, "nats.conf"), lines.join("\n"));
  }

  /** Its own name among several. */
  get name(): string {
    return this.#name;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get log(): string {
    return this.#child?.stderr ?? "";
  }

  /** Starts the process, on the data that it left, and waits until it listens. */
  async start(): Promise<void> {
    if (this.#child && !this.#child.exit) throw new Error("this NATS server is running");
    const child = new Child("nats-server", ["-c", join(this.dir, "nats.conf")], this.dir);
    this.#child = child;
    await listening(child, [this.port], () => child.stderr);
  }

  /** Kills it without warning; start() may follow. */
  async kill9(): Promise<void> {
    await this.#child?.kill9();
  }

  /** Its disk is lost. Only while it does not run. */
  forget(): void {
    rmSync(join(this.dir, "store"), { recursive: true, force: true });
  }

  suspend(): void {
    this.#child?.signal("SIGSTOP");
  }

  resume(): void {
    this.#child?.signal("SIGCONT");
  }

  /** Ends it and removes its directory; harmless the second time. */
  async stop(): Promise<Exit | undefined> {
    const exit = await this.#child?.end("SIGTERM");
    removeDirectory(this.dir);
    return exit;
  }
}

type Test = Pick<TestContext, "after">;

/** A server alone; it ends with the test. */
export async function startNats(t: Test, options: NatsServerOptions = {}): Promise<NatsServer> {
  const server = new NatsServer(await freePort(), options);
  t.after(() => server.stop());
  await server.start();
  return server;
}

/** Three servers, or as many as said, that are one cluster; they end with the test. */
export async function startNatsCluster(t: Test, size = 3): Promise<NatsServer[]> {
  const routes = await Promise.all(Array.from({ length: size }, freePort));
  const servers = await Promise.all(
    routes.map(async (port) => new NatsServer(await freePort(), { cluster: { name: "test", port, routes } })),
  );
  for (const server of servers) t.after(() => server.stop());
  await Promise.all(servers.map((server) => server.start()));
  return servers;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** A wire to a server on this machine: a client that connects to `port` reaches the server unless a fault is set. */
export class Wire {
  readonly #listener: Server;
  readonly #pairs = new Set<Pair>();
  #isCut = false;
  #isFrozen = false;
  #isDeaf = false;

  constructor(target: number) {
    this.#listener = createServer((client) => this.#join(client, target));
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.#listener.listen(0, "127.0.0.1", resolve));
  }

  /** Connections end at once, with what is in them, and new ones do not last. */
  cut(): void {
    this.#isCut = true;
    for (const { client, server } of [...this.#pairs]) {
      client.destroy();
      server.destroy();
    }
  }

  /** Nothing passes, and nobody is told. */
  freeze(): void {
    this.#isFrozen = true;
    this.#hold();
  }

  /** What is said to the server arrives; its answers do not. */
  deafen(): void {
    this.#isDeaf = true;
    this.#hold();
  }

  /** Ends every fault and forwards what was held. */
  restore(): void {
    this.#isCut = this.#isFrozen = this.#isDeaf = false;
    this.#hold();
  }

  /** All is over. */
  stop(): Promise<void> {
    this.cut();
    return new Promise((resolve) => this.#listener.close(() => resolve()));
  }

  #hold(): void {
    for (const { client, server } of this.#pairs) {
      client[this.#isFrozen ? "pause" : "resume"]();
      server[this.#isFrozen || this.#isDeaf ? "pause" : "resume"]();
    }
  }

  #join(client: Socket, target: number): void {
    if (this.#isCut) {
      client.destroy();
      return;
    }
    const pair = { client, server: connect({ port: target, host: "127.0.0.1", noDelay: true }) };
    this.#pairs.add(pair);
    this.#carry(pair, client, pair.server);
    this.#carry(pair, pair.server, client);
    this.#hold();
  }

  #carry(pair: Pair, from: Socket, to: Socket): void {
    from.setNoDelay(true);
    from.on("data", (bytes) => void (to.writable && to.write(bytes)));
    from.on("error", () => {}); // "close" follows
    from.on("close", () => {
      this.#pairs.delete(pair);
      to.destroy();
    });
  }
}

/** A wire to a server; it ends with the test. */
export async function startWire(t: Test, target: number): Promise<Wire> {
  const wire = new Wire(target);
  await wire.start();
  t.after(() => wire.stop());
  return wire;
}
