/** A private nginx in front of a Mongrel2, with a pool of kept upstream connections; the machine's own is left alone. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Mongrel2 } from "./mongrel2.js";
import { listening } from "./mongrel2.js";
import { freePort } from "./ports.js";
import { Child, removeDirectory, temporaryDirectory } from "./processes.js";

/** Upstream connections that are kept while nobody uses them. */
const POOL = 16;
const START_TRIES = 3;

export class Nginx {
  readonly port: number;
  readonly #dir: string;
  readonly #child: Child;

  private constructor(port: number, dir: string) {
    this.port = port;
    this.#dir = dir;
    const file = join(dir, "nginx.conf");
    this.#child = new Child("nginx", ["-p", dir, "-c", file, "-e", join(dir, "error.log")], dir);
  }

  /** The caller must stop() it. */
  static async before(mongrel2: Mongrel2): Promise<Nginx> {
    for (let attempt = 1; ; attempt++) {
      const [port, dir] = [await freePort(), temporaryDirectory()];
      mkdirSync(join(dir, "tmp"));
      writeFileSync(join(dir, "nginx.conf"), conf(dir, port, mongrel2.port));
      const nginx = new Nginx(port, dir);
      try {
        await listening(nginx.#child, [port], () => nginx.#child.stderr);
        return nginx;
      } catch (error) {
        await nginx.stop();
        if (attempt === START_TRIES) throw error;
      }
    }
  }

  async stop(): Promise<void> {
    await this.#child.end("SIGTERM");
    removeDirectory(this.#dir);
  }
}

/** docs/operating.md's, with a pool. One process (no master): whatever ends it ends all of it. */
const conf = (dir: string, port: number, upstream: number): string => `
daemon off;
master_process off;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log warn;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${dir}/tmp/body;
  proxy_temp_path ${dir}/tmp/proxy;
  fastcgi_temp_path ${dir}/tmp/fastcgi;
  uwsgi_temp_path ${dir}/tmp/uwsgi;
  scgi_temp_path ${dir}/tmp/scgi;
  keepalive_requests 1000000;
  upstream mongrel2 {
    server 127.0.0.1:${upstream};
    keepalive ${POOL};
    keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://mongrel2;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_read_timeout 60s;
    }
  }
}
`;
