/** Configurations of nginx and HAProxy in front of several Mongrel2s on this machine. TLS: config/proxies has what to add. */
import { descriptorLimit } from "../../util/descriptors.js";

export interface ProxyOptions {
  /** Where browsers connect. */
  readonly address: string;
  readonly port: number;
  /** Of the Mongrel2s, on 127.0.0.1. */
  readonly ports: readonly number[];
}

/** Each stream takes two descriptors: to the browser and to Mongrel2. */
const MAX_DESCRIPTORS = 131_072;
const OWN_DESCRIPTOR_COUNT = 64;

const endpoint = ({ address, port }: ProxyOptions): string =>
  `${address.includes(":") ? `[${address}]` : address}:${port}`;

const use = (command: string): string =>
  `Written by \`m2push up --servers\`. In the folder where that runs: ${command}. A stream goes to the Mongrel2 with the fewest; one that\n` +
  "# does not accept is left out for 2 s, and its browsers come back by another one, from their last event on.";

/** For `nginx -p . -c run/nginx.conf`. */
export function nginxConf(options: ProxyOptions, limit: number = descriptorLimit()): string {
  const descriptors = Math.min(MAX_DESCRIPTORS, limit);
  return `# ${use("nginx -p . -c run/nginx.conf")}
worker_processes auto;
worker_rlimit_nofile ${descriptors};
pid run/nginx.pid;
error_log logs/nginx-error.log warn;
events { worker_connections ${descriptors - OWN_DESCRIPTOR_COUNT}; }
http {
    access_log off;
    client_body_temp_path run/nginx-body;
    proxy_temp_path run/nginx-proxy;
    fastcgi_temp_path run/nginx-fastcgi;
    uwsgi_temp_path run/nginx-uwsgi;
    scgi_temp_path run/nginx-scgi;
    upstream mongrel2 {
        # All processes of nginx count together.
        zone mongrel2 256k;
        least_conn;
${options.ports.map((it) => `        server 127.0.0.1:${it} max_fails=1 fail_timeout=2s;`).join("\n")}
    }
    server {
        listen ${endpoint(options)} backlog=4096;
        location / {
            proxy_pass http://mongrel2;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            # The visitor's address. What a visitor sends in these headers is not passed on.
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Real-IP "";
            proxy_set_header Forwarded "";
            proxy_connect_timeout 2s;
            # Above [stream] heartbeat.
            proxy_read_timeout 60s;
        }
    }
}
`;
}

/** For `haproxy -f run/haproxy.cfg`. Its number of connections follows from the limit of open files. */
export function haproxyConf(options: ProxyOptions): string {
  return `# ${use("haproxy -f run/haproxy.cfg")}
defaults
    mode http
    timeout connect 2s
    # Both above [stream] heartbeat.
    timeout client 60s
    timeout server 60s
    option redispatch 1
    retries 3

frontend web
    bind ${endpoint(options)} backlog 4096
    # The visitor's address. What a visitor sends in these headers is not passed on.
    http-request set-header X-Forwarded-For %[src]
    http-request del-header X-Real-IP
    http-request del-header Forwarded
    default_backend mongrel2

backend mongrel2
    balance leastconn
    default-server check inter 1s fall 1 rise 1
${options.ports.map((it, at) => `    server m${at + 1} 127.0.0.1:${it}`).join("\n")}
`;
}
