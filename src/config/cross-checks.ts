/** The rules that concern more than one key. A key that was at fault by itself takes no part. */
import type { Settings } from "./settings.js";

/** A setting with its path and its value, which is known to be a text. */
interface Named {
  readonly path: string;
  readonly value: string;
  readonly place: string;
  readonly isDefault: boolean;
}

type Rule = (settings: Settings, servers: readonly string[]) => void;

/** Each rule adds its own faults. */
const RULES: readonly Rule[] = [uniqueNames, oneUseOfEachAddress, connectSomewhere, differentPaths];

export function crossChecks(settings: Settings, servers: number): void {
  const paths = Array.from({ length: servers }, (_, index) => `mongrel2[${index}]`);
  for (const rule of RULES) rule(settings, paths);
}

/** Logs, metrics and the client store tell servers apart by name. */
function uniqueNames(settings: Settings, servers: readonly string[]): void {
  const names = servers.map((server) => named(settings, `${server}.name`));
  refuseTwice(settings, names, "a name of its own", (value) => value);
}

/**
 * An address has one socket at its end: send_spec and recv_spec swapped or the same is the classic mistake, and two daemons'
 * worth of requests on one send_spec would be dealt out to both links in turn (mongrel2.md 2.8).
 */
function oneUseOfEachAddress(settings: Settings, servers: readonly string[]): void {
  const listen = named(settings, "admin.listen");
  const addresses = [
    ...servers.flatMap((server) =>
      ["send_spec", "recv_spec", "control"].map((key) => named(settings, `${server}.${key}`)),
    ),
    named(settings, "publish.zmq"),
    listen && listen.value !== "" && !listen.value.endsWith(":0")
      ? { ...listen, value: `tcp://${listen.value}` }
      : undefined,
  ];
  refuseTwice(settings, addresses, "an address of its own", (value) => value.replace("//localhost:", "//127.0.0.1:"));
}

/** Mongrel2 binds to tcp://*:port; to connect there, a host is needed. */
function connectSomewhere(settings: Settings, servers: readonly string[]): void {
  for (const server of servers) {
    const bind = settings.get(`${server}.bind`)?.value === true;
    for (const key of bind ? ["control"] : ["send_spec", "recv_spec", "control"]) {
      const address = named(settings, `${server}.${key}`);
      if (!address?.value.startsWith("tcp://*:")) continue;
      const reason = `expected a host to connect to, as in "tcp://127.0.0.1:9999", got "${address.value}"`;
      settings.fault(address.place, address.path, reason);
    }
  }
}

/** The router looks a request up by its path alone. */
function differentPaths(settings: Settings): void {
  const paths = [named(settings, "stream.path"), named(settings, "hub.path")];
  refuseTwice(settings, paths, "a path of its own", (value) => value);
}

/** Of two that clash the one that was written is at fault, not the default. */
function refuseTwice(
  settings: Settings,
  all: readonly (Named | undefined)[],
  expected: string,
  canonical: (value: string) => string,
): void {
  const seen = new Map<string, Named>();
  const given = all.filter((one): one is Named => one !== undefined && one.value !== "");
  for (const one of given.sort((a, b) => Number(b.isDefault) - Number(a.isDefault))) {
    const first = seen.get(canonical(one.value));
    if (first === undefined) seen.set(canonical(one.value), one);
    else
      settings.fault(
        one.place,
        one.path,
        `expected ${expected}, got "${one.value}", which is that of ${describe(first)}`,
      );
  }
}

const describe = ({ path, place, isDefault }: Named): string =>
  `${path.replace(/\[[0-9]+\]/, "")} (${isDefault ? "default" : place})`;

function named(settings: Settings, path: string): Named | undefined {
  const { value, place, source } = settings.get(path) ?? {};
  if (typeof value !== "string" || place === undefined) return undefined;
  return { path, value, place, isDefault: source?.from === "default" };
}
