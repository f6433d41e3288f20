/**
 * Debian's Firefox ESR, headless, driven through Marionette: JSON over TCP, each message after its length and a colon. The profile
 * is new, and every address outside this machine is behind a proxy that nobody serves: Firefox cannot reach another host.
 */
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Changes, within } from "./deadline.js";
import { Child, removeDirectory, temporaryDirectory } from "./processes.js";

/** Firefox's first start writes a whole profile; milliseconds. */
const START_TIMEOUT_MS = 60_000;
const SCRIPT_TIMEOUT_MS = 30_000;

const COLON = 0x3a;
/** Port 9, discard: nothing listens there. */
const DEAD_PROXY = { host: "127.0.0.1", port: 9 };

const PREFERENCES: Readonly<Record<string, string | number | boolean>> = {
  "marionette.port": 0,
  "network.proxy.type": 1,
  "network.proxy.http": DEAD_PROXY.host,
  "network.proxy.http_port": DEAD_PROXY.port,
  "network.proxy.ssl": DEAD_PROXY.host,
  "network.proxy.ssl_port": DEAD_PROXY.port,
  "network.proxy.no_proxies_on": "localhost, 127.0.0.1",
  "network.proxy.failover_direct": false,
  "network.trr.mode": 5,
  "network.dns.disablePrefetch": true,
  "network.prefetch-next": false,
  "network.http.speculative-parallel-limit": 0,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "app.update.disabledForTesting": true,
  "app.normandy.enabled": false,
  "browser.region.update.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.safebrowsing.update.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.page": 0,
  "browser.newtabpage.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "datareporting.healthreport.uploadEnabled": false,
  "toolkit.telemetry.enabled": false,
  "toolkit.telemetry.server": "data:,",
  "dom.push.connection.enabled": false,
  "extensions.update.enabled": false,
  "extensions.systemAddon.update.enabled": false,
  "extensions.getAddons.cache.enabled": false,
  "media.gmp-manager.updateEnabled": false,
};

type Reply = readonly [type: number, id: number, error: { readonly message: string } | null, result: unknown];

/** One tab, in one window. */
export class Firefox {
  readonly #socket: Socket;
  readonly #changes = new Changes();
  readonly #replies = new Map<number, Reply>();
  #received: Buffer = Buffer.alloc(0);
  #hasGreeted = false;
  #fault: Error | undefined;
  #sent = 0;

  private constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.on("data", (bytes) => this.#take(bytes));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("Firefox closed the connection")));
  }

  /** Connects and opens a session. */
  static async to(port: number): Promise<Firefox> {
    const firefox = new Firefox(port);
    await firefox.#until(() => firefox.#hasGreeted, "Marionette's greeting");
    await firefox.#command("WebDriver:NewSession", {});
    return firefox;
  }

  async goto(url: string): Promise<void> {
    await this.#command("WebDriver:Navigate", { url });
  }

  /** The value of an expression in the page; of a promise, what it resolves with. Rejects with what it throws. */
  async evaluate(expression: string): Promise<unknown> {
    const script = `const done = arguments[arguments.length - 1];
      (async () => (${expression}))().then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const answer = await this.#command("WebDriver:ExecuteAsyncScript", {
      script,
      args: [],
      sandbox: null,
      scriptTimeout: SCRIPT_TIMEOUT_MS,
    });
    const { value, error } = (answer as { value: { value?: unknown; error?: string } }).value;
    if (error !== undefined) throw new Error(error);
    return value;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #command(name: string, parameters: object): Promise<unknown> {
    const id = ++this.#sent;
    const message = Buffer.from(JSON.stringify([0, id, name, parameters]));
    this.#socket.write(Buffer.concat([Buffer.from(`${message.length}:`), message]));
    const [, , error, result] = await this.#until(() => this.#replies.get(id), `an answer to ${name}`);
    this.#replies.delete(id);
    if (error) throw new Error(`${name}: ${error.message}`);
    return result;
  }

  #until<T>(look: () => T | undefined | false, what: string): Promise<T> {
    const found = () => {
      const thing = look();
      if (!thing && this.#fault) throw this.#fault;
      return thing;
    };
    return this.#changes.until(found, what, START_TIMEOUT_MS);
  }

  #fail(error: Error): void {
    this.#fault ??= error;
    this.#changes.tell();
  }

  #take(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (let colon = this.#received.indexOf(COLON); colon > 0; colon = this.#received.indexOf(COLON)) {
      const end = colon + 1 + Number(this.#received.toString("latin1", 0, colon));
      if (this.#received.length < end) return;
      const message: unknown = JSON.parse(this.#received.toString("utf8", colon + 1, end));
      this.#received = this.#received.subarray(end);
      if (Array.isArray(message)) this.#replies.set(message[1], message as unknown as Reply);
      else this.#hasGreeted = true;
      this.#changes.tell();
    }
  }
}

/** Starts a Firefox that ends with the test. */
export async function openFirefox(test: Pick<TestContext, "after">): Promise<Firefox> {
  const profile = temporaryDirectory();
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
  writeFileSync(join(profile, "user.js"), lines.join("\n"));
  const env = { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: "1" };
  const program = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
  const args = ["--headless", "--marionette", "--no-remote", "--profile", profile];
  const child = new Child(program, args, profile, env);
  test.after(async () => {
    await child.end("SIGTERM");
    await child.closed;
    removeDirectory(profile);
  });
  const firefox = await Firefox.to(await within(START_TIMEOUT_MS, portOf(child), "Firefox to start"));
  test.after(() => firefox.close());
  return firefox;
}

/** Where Marionette listens, as Firefox says when it has started. */
function portOf(child: Child): Promise<number> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const port = /Marionette\s+INFO\s+Listening on port (\d+)/.exec(child.stdout + child.stderr)?.[1];
      if (port !== undefined) resolve(Number(port));
    };
    child.process.stdout?.on("data", look);
    child.process.stderr?.on("data", look);
    const ended = () => reject(new Error(`Firefox ended before it listened: ${child.stderr}`));
    child.exited.then(ended, reject);
  });
}
