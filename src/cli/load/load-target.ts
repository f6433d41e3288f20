/** The checks of `m2push load` before it does anything: whose machine it would load, and whether this process may open enough connections. */
import { lookup } from "node:dns/promises";
import { M2pushError, messageOf } from "../../errors.js";
import { descriptorLimit } from "../../util/descriptors.js";
import { printableLine } from "../../util/escape.js";
import { isLoopback } from "../../util/loopback.js";

/** For files, sockets of the publisher and the process itself. */
const OWN_DESCRIPTOR_COUNT = 64;

/** The host of "http://host:1/", "tcp://host:1"; undefined = a socket of this machine (ipc). */
export function hostOf(address: string): string | undefined {
  const [, host] = /^(?:https?|tcp):\/\/(?:[^@/]*@)?(\[[^\]]*\]|[^:/?#]*)/.exec(address) ?? [];
  return host?.replace(/^\[|\]$/g, "");
}

/** The hosts of the addresses that are not this machine, or unknown. */
export async function foreignHosts(addresses: readonly string[]): Promise<string[]> {
  const hosts = [...new Set(addresses.flatMap((address) => hostOf(address) ?? []))];
  const local = await Promise.all(hosts.map(isThisMachine));
  return hosts.filter((_, at) => !local[at]);
}

async function isThisMachine(host: string): Promise<boolean> {
  try {
    const found = await lookup(host, { all: true });
    return found.length > 0 && found.every(({ address }) => isLoopback(address));
  } catch (cause) {
    throw new M2pushError(
      "link_failed",
      `cannot resolve ${printableLine(host)}: ${messageOf(cause)}; fix: correct the address`,
      {
        cause,
      },
    );
  }
}

/** What is wrong with the limit of open files for this number of clients, and the fix; undefined = nothing. */
export function descriptorFault(clients: number, limit: number = descriptorLimit()): string | undefined {
  const needed = clients + OWN_DESCRIPTOR_COUNT;
  if (needed <= limit) return undefined;
  return (
    `${clients} clients need ${needed} file descriptors, and this process may open ${limit}; ` +
    `fix: run \`ulimit -n ${needed}\` in this shell first (as root if it is above \`ulimit -Hn\`), or take fewer --clients`
  );
}
