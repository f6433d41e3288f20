/**
 * The checks of `m2push up` before it starts Mongrel2: the addresses that Mongrel2 listens on must be free. Otherwise Mongrel2 would
 * fail and be restarted repeatedly, and the cause would be hard to find in the log.
 */
import { readFileSync } from "node:fs";
import { request } from "node:http";
import type { Config } from "../config/schema.js";
import { M2pushError } from "../errors.js";
import { leftoverPid, type Mongrel2Files } from "../mongrel2/mongrel2-process.js";
import type { Cancel, Clock } from "../util/clock.js";
import { portHolder } from "../util/port-holder.js";

/** Between two requests to the stream's path until one is answered. */
const ANSWER_INTERVAL_MS = 100;

/** The listen address of the first Server in a mongrel2.conf. */
export interface WebAddress {
  /** "0.0.0.0" where none is stated. */
  readonly host: string;
  readonly port: number;
  readonly isLoopback: boolean;
}

export function webAddress(conf: string): WebAddress {
  // A Proxy to a backend has a port, too.
  const text = readFileSync(conf, "utf8")
    .replace(/^\s*#.*$/gm, "")
    .replace(/\bProxy\s*\([^)]*\)/g, "");
  const bound = /\bbind_addr\s*=\s*['"]([^'"]*)['"]/.exec(text)?.[1] ?? "";
  const port = Number(/\bport\s*=\s*(\d+)/.exec(text)?.[1] ?? "6767");
  return { host: bound || "0.0.0.0", port, isLoopback: bound === "::1" || bound.startsWith("127.") };
}

/** `conf`: what the user edits. Throws "link_failed" with every address that is in use, the process that uses it, and the fix. */
export function checkAddresses(conf: string, servers: readonly Mongrel2Files[], config: Config): void {
  const fixOfPort = `change port in ${conf} and [hub] origin`;
  const wanted: [port: number, what: string, fix: string][] = [
    ...servers.map((it): [number, string, string] => [webAddress(it.conf).port, "Mongrel2's web server", fixOfPort]),
    ...config.mongrel2.flatMap(({ send_spec, recv_spec }) => [
      wantedSpec(send_spec, "send_spec", conf),
      wantedSpec(recv_spec, "recv_spec", conf),
    ]),
  ];
  // A Mongrel2 that an earlier `up` left is stopped before the new one starts; an `up` that still runs holds the lock of the data.
  const leftover = servers.map(leftoverPid);
  const taken = wanted.flatMap(([port, what, fix]) => {
    const holder = Number.isNaN(port) ? undefined : portHolder(port);
    if (!holder || leftover.includes(holder.pid)) return [];
    return [`port ${port} (${what}) is in use by ${holder.name}; fix: stop it, or ${fix}`];
  });
  if (taken.length > 0) throw new M2pushError("link_failed", taken.join("\n"));
}

/** The port is NaN when the endpoint is not TCP. */
function wantedSpec(spec: string, key: string, conf: string): [number, string, string] {
  const port = Number(/^tcp:.*:(\d+)$/.exec(spec)?.[1] ?? Number.NaN);
  return [port, key, `change ${key} in ${conf} and in [[mongrel2]]`];
}

/** Calls `answered` once the daemon answers a request through Mongrel2. OPTIONS opens no stream. */
export function whenAnswered(clock: Clock, url: string, answered: () => void): Cancel {
  let cancelled = false;
  let cancelTimer: Cancel = () => {};
  const again = () => {
    if (!cancelled) cancelTimer = clock.after(ANSWER_INTERVAL_MS, ask);
  };
  const ask = () => {
    const asked = request(url, { method: "OPTIONS", agent: false, timeout: 1000 });
    asked.on("response", (response) => {
      response.resume();
      if (response.statusCode !== 204) again();
      else if (!cancelled) answered();
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer")));
    asked.on("error", again); // not yet
    asked.end();
  };
  ask();
  return () => {
    cancelled = true;
    cancelTimer();
  };
}
