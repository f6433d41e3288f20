/** Parses ZeroMQ addresses: tcp://host:port, ipc://path, and ipc://@name (the abstract namespace of Linux). */
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { HAS_ABSTRACT_NAMES } from "../util/node-version.js";

/** In the form that net.connect() and Server.listen() take. */
export type Endpoint = { readonly path: string } | { readonly host: string; readonly port: number };

/** Address to connect to; undefined if it is invalid, or unusable with this version of Node.js. */
export function parseEndpoint(spec: string): Endpoint | undefined {
  const [, at, path] = /^ipc:\/\/(@?)(.+)$/.exec(spec) ?? [];
  if (path !== undefined && at) return HAS_ABSTRACT_NAMES ? { path: `\0${path}` } : undefined;
  if (path !== undefined) return { path: path };
  const [, host, port] = /^tcp:\/\/(.+):(\d{1,5})$/.exec(spec) ?? [];
  return host === undefined ? undefined : { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

/** Address to listen on: the host may also be "*" (every address of the machine) or the name of a network interface. */
export function parseListenEndpoint(spec: string): Endpoint | undefined {
  const endpoint = parseEndpoint(spec);
  if (!endpoint || "path" in endpoint) return endpoint;
  if (endpoint.host === "*") return { ...endpoint, host: "0.0.0.0" };
  if (isIP(endpoint.host)) return endpoint;
  const addresses = networkInterfaces()[endpoint.host] ?? [];
  const { address = endpoint.host } = addresses.find(({ family }) => family === "IPv4") ?? addresses[0] ?? {};
  return { ...endpoint, host: address };
}
