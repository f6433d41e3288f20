/** Private nginx, HAProxy and Caddy in front of a Mongrel2, with the configurations of config/proxies, on a port of their own. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listening, type Mongrel2 } from "./mongrel2.js";
import { freePort } from "./ports.js";
import { Child, PROJECT, removeDirectory, run, temporaryDirectory } from "./processes.js";

export type ProxyName = "nginx" | "haproxy" | "caddy";

interface Site {
  readonly dir: string;
  readonly port: number;
  readonly upstream: number;
  /** Changes the text of the configuration. */
  readonly edit: (text: string) => string;
}

const START_TRIES = 3;
const CERTIFICATE = "/etc/ssl/www.example.com.pem";
const KEY = "/etc/ssl/www.example.com.key";

/** Writes the configuration; returns the command that runs the proxy in the foreground. */
const PROXIES: Readonly<Record<ProxyName, (site: Site) => readonly [string, ...string[]]>> = {
  nginx(site) {
    const { dir, port } = site;
    mkdirSync(join(dir, "tmp"));
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((it) => `${it}_temp_path ${dir}/tmp/${it};`);
    const server = read("nginx.conf", site).replace("listen 443 ssl", `listen 127.0.0.1:${port} ssl`);
    const main = `daemon off;\nmaster_process off;\npid ${dir}/pid;\nerror_log ${dir}/error.log warn;\nevents {}\n`;
    const file = write(dir, `${main}http {\naccess_log off;\n${paths.join("\n")}\n${server}}\n`);
    return ["nginx", "-p", dir, "-c", file, "-e", join(dir, "error.log")];
  },
  haproxy(site) {
    return [
      "haproxy",
      "-db",
      "-f",
      write(site.dir, read("haproxy.cfg", site).replace("bind :443 ", `bind 127.0.0.1:${site.port} `)),
    ];
  },
  caddy(site) {
    const { dir, port } = site;
    const text = read("Caddyfile", site).replace(
      "www.example.com {",
      `{\nadmin off\nauto_https off\n}\nhttps://localhost:${port} {\nbind 127.0.0.1\ntls ${dir}/cert.pem ${dir}/cert.pem\n`,
    );
    return ["caddy", "run", "--adapter", "caddyfile", "--config", write(dir, text)];
  },
};

function read(name: string, { dir, upstream, edit }: Site): string {
  const text = readFileSync(join(PROJECT, "config/proxies", name), "utf8");
  const own = text.replaceAll(CERTIFICATE, `${dir}/cert.pem`).replaceAll(KEY, `${dir}/cert.pem`);
  return edit(own.replaceAll("127.0.0.1:6767", `127.0.0.1:${upstream}`));
}

function write(dir: string, text: string): string {
  const file = join(dir, "proxy.conf");
  writeFileSync(file, text);
  return file;
}

/** A certificate and its key in one file. */
async function makeCertificate(dir: string): Promise<void> {
  const [key, certificate] = [join(dir, "key"), join(dir, "certificate")];
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  await run("openssl", [...args, "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], dir);
  writeFileSync(join(dir, "cert.pem"), readFileSync(certificate, "utf8") + readFileSync(key, "utf8"));
}

export class ReverseProxy {
  readonly port: number;
  readonly #dir: string;
  readonly #child: Child;

  private constructor(name: ProxyName, site: Site) {
    this.port = site.port;
    this.#dir = site.dir;
    const [command, ...args] = PROXIES[name](site);
    // Caddy keeps its files below its home.
    this.#child = new Child(command, args, site.dir, { ...process.env, HOME: site.dir, XDG_DATA_HOME: site.dir });
  }

  /** A file with its certificate. */
  get certificate(): string {
    return join(this.#dir, "cert.pem");
  }

  /** The caller must stop() it. `edit` changes the sample configuration. */
  static async before(mongrel2: Mongrel2, name: ProxyName, edit = (text: string) => text): Promise<ReverseProxy> {
    for (let attempt = 1; ; attempt++) {
      const [port, dir] = [await freePort(), temporaryDirectory()];
      await makeCertificate(dir);
      const proxy = new ReverseProxy(name, { dir, port, upstream: mongrel2.port, edit });
      try {
        await listening(proxy.#child, [port], () => proxy.#child.stderr);
        return proxy;
      } catch (error) {
        await proxy.stop();
        if (attempt === START_TRIES) throw error;
      }
    }
  }

  async stop(): Promise<void> {
    // Asked to end, Caddy waits for its streams.
    await this.#child.kill9();
    removeDirectory(this.#dir);
  }
}
