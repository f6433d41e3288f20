/** nginx with nchan: one worker, which holds the connections and is the handler, too. A private nginx; the system's is left alone. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort, listeningPorts } from "../../test/support/ports.js";
import { Child, removeDirectory, temporaryDirectory } from "../../test/support/processes.js";
import { familyOf, MEASURED_CORE, pin, publishVia } from "../tools.js";
import { type Contestant, missingPrograms } from "./contestant.js";

const NGINX = "/usr/sbin/nginx";
const MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so";

export const nchan: Contestant = {
  name: "nchan",
  what: "nginx with Debian's libnginx-mod-nchan, one worker, messages kept in its memory",
  missing: () => missingPrograms(NGINX, MODULE),
  async start() {
    const dir = temporaryDirectory();
    const port = await freePort();
    mkdirSync(join(dir, "tmp"));
    writeFileSync(join(dir, "nginx.conf"), conf(dir, port));
    const nginx = new Child(NGINX, ["-p", dir, "-c", join(dir, "nginx.conf"), "-e", join(dir, "error.log")], dir);
    for (const end = Date.now() + 4000; !listeningPorts(nginx.pid).has(port); await pause(10)) {
      if (nginx.exit || Date.now() > end) throw new Error(`nginx did not start: ${nginx.stderr}`);
    }
    while (familyOf(nginx.pid).length < 2) await pause(10); // its worker
    const servers = familyOf(nginx.pid);
    for (const pid of servers) pin(pid, MEASURED_CORE);
    return {
      port,
      path: "/sub?topic=all",
      topicPath: "/sub?topic=c%d",
      servers,
      handlers: [],
      publish(publishing) {
        const topic = publishing.topics ? "c%d" : "all";
        return publishVia("http-raw", `http://127.0.0.1:${port}/pub?topic=${topic}`, publishing);
      },
      async stop() {
        await nginx.end("SIGTERM");
        removeDirectory(dir);
      },
    };
  },
};

const conf = (dir: string, port: number): string => `
load_module ${MODULE};
${process.getuid?.() === 0 ? "user root;" : ""}
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log crit;
events { worker_connections 16384; }
http {
  access_log off;
  client_body_temp_path ${dir}/tmp/body;
  proxy_temp_path ${dir}/tmp/proxy;
  fastcgi_temp_path ${dir}/tmp/fastcgi;
  uwsgi_temp_path ${dir}/tmp/uwsgi;
  scgi_temp_path ${dir}/tmp/scgi;
  keepalive_requests 100000000;
  nchan_shared_memory_size 512M;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /pub {
      nchan_publisher;
      nchan_channel_id $arg_topic;
      nchan_message_buffer_length 10000;
      nchan_message_timeout 1h;
    }
    location = /sub {
      nchan_subscriber eventsource;
      nchan_subscriber_first_message newest;
      nchan_channel_id $arg_topic;
    }
  }
}
`;
