/**
 * Kinds of values that name a place: ZeroMQ addresses, listening addresses, paths, key material, origins. Those that
 * hold a relative path become absolute when they are loaded, so that nothing later depends on the working directory.
 */
import { existsSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { isAddressRange } from "../util/address-set.js";
import { Invalid, quote, text, type ValueType, withoutPassword } from "./value-type.js";

/** Bytes of a Unix socket's path without its end mark (sun_path of unix(7) holds 108). */
const MAX_SOCKET_PATH = 107;

const SPEC = 'an address such as "tcp://127.0.0.1:9999" or "ipc://run/socket"';
const HOST = "(?:\\*|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\\])";
const TCP = new RegExp(`^tcp://(${HOST}):([0-9]{1,5})$`);
const LISTEN = new RegExp(`^(${HOST}):([0-9]{1,5})$`);

/** A ZeroMQ address, tcp://host:port or ipc://path; `off` lets "" stand for none. */
export function spec(options: { off?: boolean } = {}): ValueType<string> {
  const expected = options.off === true ? `${SPEC}; "" = off` : SPEC;
  const wrong = new Invalid(expected);
  return {
    expected,
    word: "address",
    read(value) {
      if (value === "" && options.off === true) return "";
      return typeof value === "string" && isSpec(value) ? value : wrong;
    },
    resolve: resolveSpec,
    print: quote,
  };
}

/** Whether the text is a ZeroMQ address that m2push takes. */
export function isSpec(value: string): boolean {
  const [, , port] = TCP.exec(value) ?? [];
  if (port !== undefined) return Number(port) >= 1 && Number(port) <= 65535;
  return /^ipc:\/\/[^\0\n\r]+$/.test(value);
}

/** "@name" is Linux's abstract name space: no file, so nothing to be relative to. */
function resolveSpec(value: string, base: string): string | Invalid {
  if (!value.startsWith("ipc://") || value.startsWith("ipc://@")) return value;
  const path = resolve(base, value.slice("ipc://".length));
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return `ipc://${path}`;
  return new Invalid(
    `an ipc path of at most ${MAX_SOCKET_PATH} bytes once absolute; ${path} has ${Buffer.byteLength(path)}`,
  );
}

/** host:port of a TCP listener; port 0 takes a free one, "" = off. */
export const listenAddress: ValueType<string> = {
  expected: 'host:port such as "127.0.0.1:6780" or "[::1]:6780"; "" = off',
  word: "host:port",
  read(value) {
    if (value === "") return value;
    const [, host, port] = (typeof value === "string" && LISTEN.exec(value)) || [];
    return host !== undefined && host !== "*" && Number(port) <= 65535
      ? `${host}:${port}`
      : new Invalid(listenAddress.expected);
  },
  print: quote,
};

/** The path of an HTTP request, compared byte for byte: no query, no empty segment, none that is "." or "..". */
export const urlPath: ValueType<string> = {
  ...text(
    'a path such as "/events", without query',
    /^(?!.*\/\/)(?!.*\/\.{1,2}(?:\/|$))\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$/,
  ),
  word: "path",
};

/** The same, for what has addresses below it: no "/" at its end. */
export const parentPath: ValueType<string> = {
  ...urlPath,
  expected: 'a path such as "/events", without query, and without "/" at its end',
  read: (value) =>
    typeof value === "string" && value.endsWith("/") ? new Invalid(parentPath.expected) : urlPath.read(value),
};

/** A file or folder. */
export const filePath: ValueType<string> = {
  ...text("a path", /^[^\0\n\r]+$/),
  word: "path",
  resolve: (value, base) => resolve(base, value),
};

/** A file, or "" = none. */
export const optionalPath: ValueType<string> = {
  expected: 'a path; "" = none',
  word: "path",
  read: (value) => (value === "" ? value : (filePath.read(value) as string | Invalid)),
  resolve: (value, base) => (value === "" ? value : resolve(base, value)),
  print: quote,
};

/** Text of any kind, or "" = none. */
export const plainText: ValueType<string> = text('a text; "" = none', /^\P{Cc}{0,512}$/u);

/**
 * What a key's text is: nothing, a PEM block, the path of a file with a PEM block or a JWKS, or an HS256 secret itself. A
 * path begins with "/", "./" or "../", or ends as key files do; so a secret must not look like that.
 */
export type KeyForm = "none" | "pem" | "file" | "secret";

export function keyForm(value: string): KeyForm {
  if (value === "") return "none";
  if (value.includes("-----BEGIN ")) return "pem";
  if (isBase64Key(value)) return "secret";
  if (/^\.{0,2}\//.test(value) || /^[^\n\r]*\.(?:pem|key|pub|crt|json|jwk|jwks)$/.test(value)) return "file";
  return "secret";
}

/** The shortest base64 of a key (16 bytes), and the shortest that without "+" or "=" is no path. */
const MIN_BASE64 = 22;
const MIN_PLAIN_BASE64 = 40;

/**
 * One base64 key in 64 begins with "/". It differs from a path by characters that paths hardly have, or by being long and below
 * no folder that exists. A path that is meant needs a "." or "-" in it, or a folder that is there.
 */
function isBase64Key(value: string): boolean {
  if (!/^\/[A-Za-z0-9+/]+={0,2}$/.test(value) || value.length < MIN_BASE64) return false;
  if (/[+=]/.test(value)) return true;
  return value.length >= MIN_PLAIN_BASE64 && !existsSync(/^\/[^/]*/.exec(value)?.[0] ?? "/");
}

/** What is printed in the place of a secret. Never taken for one: what was printed may come back as a file. */
const MASK = "***";

/** Key material; see KeyForm. Only the path of a key file is ever shown. */
export const keyMaterial: ValueType<string> = {
  expected: 'an HS256 secret, a PEM block, or the path of a PEM or JWKS file (/..., ./..., *.pem, *.json); "" = none',
  word: "key",
  secret: true,
  read(value) {
    if (typeof value !== "string" || value.includes("\0")) return new Invalid(keyMaterial.expected);
    if (value === MASK) return new Invalid("a key", "the stars that stand for one in print");
    return /^\s*\{.*\}\s*$/s.test(value) ? new Invalid("the path of a JWKS file", "text of JSON") : value;
  },
  resolve: (value, base) => (keyForm(value) === "file" && !isAbsolute(value) ? resolve(base, value) : value),
  print: (value) => quote(keyForm(value) === "secret" || keyForm(value) === "pem" ? MASK : value),
};

/** A text that is never shown. */
export const secretText: ValueType<string> = {
  ...plainText,
  secret: true,
  read: (value) =>
    value === MASK ? new Invalid("a text", "the stars that stand for one in print") : plainText.read(value),
  print: (value) => quote(value === "" ? "" : MASK),
};

/** A secret that fits an Authorization header (RFC 6750 section 2.1), and that nobody guesses; "" = none. */
export const bearerToken: ValueType<string> = {
  expected: 'at least 16 letters, digits and "-._~+/="; "" = none',
  word: "token",
  secret: true,
  read: (value) =>
    typeof value === "string" && /^(?:[A-Za-z0-9._~+/=-]{16,512})?$/.test(value)
      ? value
      : new Invalid(bearerToken.expected),
  print: (value) => quote(value === "" ? "" : MASK),
};

/** Addresses of peers: one, or a network in CIDR notation. */
export const addressRange: ValueType<string> = {
  expected: "an IP address or network",
  word: "address",
  read: (value) => (typeof value === "string" && isAddressRange(value) ? value : new Invalid(addressRange.expected)),
  print: quote,
};

/** What a Host header names, without the port. */
export const hostname: ValueType<string> = {
  expected: "a host name in lower case, without a port",
  word: "host",
  read: (value) =>
    typeof value === "string" && /^(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?)$/.test(value)
      ? value
      : new Invalid(hostname.expected),
  print: quote,
};

/** An origin as browsers send it (scheme://host[:port], nothing after), or "*". */
export const origin: ValueType<string> = {
  expected: "an origin",
  word: "origin",
  read: (value) => (value === "*" || isOrigin(value) ? value : new Invalid(origin.expected)),
  print: quote,
};

/** One origin, and no other. */
export const ownOrigin: ValueType<string> = {
  expected: 'an origin such as "https://example.com"',
  word: "origin",
  read: (value) => (isOrigin(value) ? value : new Invalid(ownOrigin.expected)),
  print: quote,
};

const isOrigin = (value: unknown): value is string =>
  typeof value === "string" && /^https?:/.test(value) && URL.canParse(value) && new URL(value).origin === value;

/** A NATS server; a password in it is not printed. */
export const natsServer: ValueType<string> = {
  expected: "a NATS address",
  word: "address",
  read: (value) => (isNats(value) ? value : new Invalid(natsServer.expected)),
  print: (value) => quote(withoutPassword(value)),
};

const isNats = (value: unknown): value is string =>
  typeof value === "string" &&
  /^(?:nats|tls):\/\//.test(value) &&
  URL.canParse(value) &&
  new URL(value).hostname !== "";
