/**
 * What `m2push up` looks at before it starts anything: that nobody has the addresses that Mongrel2 is to listen on. Found later,
 * it would be one of many lines of a Mongrel2 that is started again and again.
 */
import { readFileSync } from "node:fs";
import { request } from "node:http";
import type { Config } from "../config/schema.js";
import { M2pushError } from "../errors.js";
import { leftoverPid } from "../mongrel2/mongrel2-process.js";
import type { Cancel, Clock } from "../util/clock.js";
import { portHolder } from "../util/port-holder.js";

/** Between two questions whether the stream's address answers, milliseconds. */
const ANSWER_INTERVAL_MS = 100;

/** What a mongrel2.conf says about its (first) server. */
export interface WebAddress {
  readonly port: number;
  readonly isLoopback: boolean;
}

export function webAddress(conf: string): WebAddress {
  const text = readFileSync(conf, "utf8").replace(/^\s*#.*$/gm, "");
  const bound = /\bbind_addr\s*=\s*['"]([^'"]*)['"]/.exec(text)?.[1] ?? "";
  const port = Number(/\bport\s*=\s*(\d+)/.exec(text)?.[1] ?? "6767");
  return { port, isLoopback: bound === "::1" || bound.startsWith("127.") };
}

/** Throws "link_failed" with every address that is taken, who has it, and what to do. */
export function checkAddresses(conf: string, config: Config): void {
  const wanted: [port: number, what: string, fix: string][] = [
    [webAddress(conf).port, "Mongrel2's web server", `change port in ${conf}, and [hub] origin`],
    ...config.mongrel2.flatMap(({ send_spec, recv_spec }) => [
      wantedSpec(send_spec, "send_spec", conf),
      wantedSpec(recv_spec, "recv_spec", conf),
    ]),
  ];
  const taken = wanted.flatMap(([port, what, fix]) => {
    const holder = Number.isNaN(port) ? undefined : portHolder(port);
    // What an earlier `up` has left is ended before Mongrel2 starts; that of one that runs shows by the lock of its data.
    if (!holder || holder.pid === leftoverPid()) return [];
    return [`port ${port} (${what}) is taken by ${holder.name}; fix: stop that, or ${fix}`];
  });
  if (taken.length > 0) throw new M2pushError("link_failed", taken.join("\n"));
}

/** NaN for what is no TCP port. */
function wantedSpec(spec: string, key: string, conf: string): [number, string, string] {
  const port = Number(/^tcp:.*:(\d+)$/.exec(spec)?.[1] ?? Number.NaN);
  return [port, key, `change ${key} in ${conf} and in [[mongrel2]]`];
}

/** Calls `answered` once a request goes through Mongrel2 to the daemon and back. OPTIONS: no stream is opened for it. */
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
