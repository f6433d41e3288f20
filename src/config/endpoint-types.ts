/** Types of addresses of sockets: ZeroMQ endpoints and TCP listeners. */
import { resolve } from "node:path";
import { tomlString } from "./show-value.js";
import { Invalid, type ValueType } from "./value-type.js";

/** Bytes of a Unix socket's path without its final NUL: sun_path of unix(7) holds 108. */
const MAX_SOCKET_PATH_BYTES = 107;
/** Ports of TCP are 16-bit numbers. */
const MAX_PORT = 65_535;

const EXPECTED_ENDPOINT = 'an address such as "tcp://127.0.0.1:9999" or "ipc://run/socket"';
const HOST = "(?:\\*|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\\])";
const TCP = new RegExp(`^tcp://(${HOST}):([0-9]{1,5})$`);
const LISTEN = new RegExp(`^(${HOST}):([0-9]{1,5})$`);

/** A ZeroMQ endpoint, tcp://host:port or ipc://path; with `off`, "" is valid too and means none. */
export function endpointType(options: { off?: boolean } = {}): ValueType<string> {
  const expected = options.off === true ? `${EXPECTED_ENDPOINT}; "" = off` : EXPECTED_ENDPOINT;
  const invalid = new Invalid(expected);
  return {
    expected,
    ...(options.off === true && { range: '"" = off' }),
    word: "address",
    schema: { type: "string", pattern: `^${options.off === true ? "$|^" : ""}(?:tcp|ipc)://` },
    read(value) {
      if (value === "" && options.off === true) return "";
      return typeof value === "string" && isEndpoint(value) ? value : invalid;
    },
    resolve: resolveEndpoint,
    print: tomlString,
  };
}

/** Whether the text is a ZeroMQ endpoint of a transport that m2push supports. */
export function isEndpoint(value: string): boolean {
  const [, , port] = TCP.exec(value) ?? [];
  if (port !== undefined) return Number(port) >= 1 && Number(port) <= MAX_PORT;
  return /^ipc:\/\/[^\0\n\r]+$/.test(value);
}

/** "ipc://@name" is in Linux's abstract namespace: no file, so there is no path to resolve. */
function resolveEndpoint(value: string, base: string): string | Invalid {
  if (!value.startsWith("ipc://") || value.startsWith("ipc://@")) return value;
  const path = resolve(base, value.slice("ipc://".length));
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return `ipc://${path}`;
  return new Invalid(
    `an ipc path of at most ${MAX_SOCKET_PATH_BYTES} bytes once absolute; ${path} has ${Buffer.byteLength(path)}`,
  );
}

/** host:port of a TCP listener; port 0 lets the system choose a free one, "" = off. */
export const listenAddressType: ValueType<string> = {
  expected: 'host:port such as "127.0.0.1:6780" or "[::1]:6780"; "" = off',
  range: '"" = off',
  word: "host:port",
  schema: { type: "string", pattern: "^$|:[0-9]{1,5}$" },
  read(value) {
    if (value === "") return value;
    const [, host, port] = (typeof value === "string" && LISTEN.exec(value)) || [];
    return host !== undefined && host !== "*" && Number(port) <= MAX_PORT
      ? `${host}:${port}`
      : new Invalid(listenAddressType.expected);
  },
  print: tomlString,
};
