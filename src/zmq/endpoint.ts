/** What ZeroMQ addresses (tcp://host:port, ipc://path) are to the operating system; "ipc://@name" is Linux's abstract name space. */
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";

export type Endpoint = { readonly path: string } | { readonly host: string; readonly port: number };

/** libuv of Node.js 20 fills abstract names up with zeros: they are other names then than everybody else's. */
const HAS_ABSTRACT_NAMES = Number(process.versions.node.split(".")[0]) >= 22;

/** Where to connect; undefined when it is no address, or none that this Node.js can use. */
export function parseEndpoint(spec: string): Endpoint | undefined {
  const [, at, path] = /^ipc:\/\/(@?)(.+)$/.exec(spec) ?? [];
  if (path !== undefined && at) return HAS_ABSTRACT_NAMES ? { path: `\0${path}` } : undefined;
  if (path !== undefined) return { path: path };
  const [, host, port] = /^tcp:\/\/(.+):(\d{1,5})$/.exec(spec) ?? [];
  return host === undefined ? undefined : { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

/** Where to listen: a host may be "*", every address of the machine, or the name of a network interface, too. */
export function parseListenEndpoint(spec: string): Endpoint | undefined {
  const place = parseEndpoint(spec);
  if (!place || "path" in place) return place;
  if (place.host === "*") return { ...place, host: "0.0.0.0" };
  if (isIP(place.host)) return place;
  const addresses = networkInterfaces()[place.host] ?? [];
  const { address = place.host } = addresses.find(({ family }) => family === "IPv4") ?? addresses[0] ?? {};
  return { ...place, host: address };
}
