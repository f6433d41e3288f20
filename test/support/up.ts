/** `m2push up` as `npm start` runs it: the configurations and pages of the project, with ports and a folder of its own. */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import { type Daemon, startDaemon } from "./daemon.js";
import { freePort } from "./ports.js";
import { PROJECT, removeDirectory, temporaryDirectory } from "./processes.js";

export interface Up {
  readonly daemon: Daemon;
  readonly dir: string;
  /** http://localhost:PORT, as the log tells it; 127.0.0.1 is another origin. */
  readonly url: string;
  /** http://127.0.0.1:PORT/ of the dashboard. */
  readonly adminUrl: string;
}

/** Ports of config/m2push.toml and config/mongrel2.conf: web, admin, link, publishers. */
const PORTS = ["6767", "6780", "9999", "9998", "9997"];

export interface UpOptions {
  /** Edits m2push.toml. */
  readonly toml?: (text: string) => string;
  /** Edits mongrel2.conf. */
  readonly conf?: (text: string) => string;
  /** Further files of html/, by name. */
  readonly html?: Readonly<Record<string, string>>;
}

const unchanged = (text: string) => text;

/** One for all tests of a describe block. */
export function upOfSuite({ toml = unchanged, conf = unchanged, html = {} }: UpOptions = {}): () => Up {
  const dir = temporaryDirectory();
  let up: Up | undefined;
  before(async () => {
    const ports = new Map<string, number>();
    for (const port of PORTS) ports.set(port, await freePort());
    const read = (name: string) =>
      readFileSync(join(PROJECT, "config", name), "utf8").replace(
        new RegExp(`\\b(?:${PORTS.join("|")})\\b`, "g"),
        (port) => String(ports.get(port)),
      );
    cpSync(join(PROJECT, "html"), join(dir, "html"), { recursive: true });
    for (const [name, text] of Object.entries(html)) writeFileSync(join(dir, "html", name), text);
    writeFileSync(join(dir, "mongrel2.conf"), conf(read("mongrel2.conf")));
    // Its relative paths are relative to config/; here it is one folder higher.
    const config = toml(read("m2push.toml").replaceAll("../", ""));
    const daemon = startDaemon({ config, dir, command: ["up"] });
    await daemon.logged(({ event }) => event === "up", "Mongrel2 to serve");
    const url = `http://localhost:${ports.get("6767")}`;
    up = { daemon, dir, url, adminUrl: `http://127.0.0.1:${ports.get("6780")}/` };
  });
  after(async () => {
    await up?.daemon.stop();
    removeDirectory(dir);
  });
  return () => {
    if (up === undefined) throw new TypeError("no test runs yet");
    return up;
  };
}
