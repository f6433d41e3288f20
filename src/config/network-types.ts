/** Types that name other machines: address ranges, Host headers, origins and NATS servers. */
import { isAddressRange } from "../util/address-set.js";
import { maskCredentials, tomlString } from "./show-value.js";
import { Invalid, type ValueType } from "./value-type.js";

/** The address of a peer, or a network in CIDR notation. */
export const addressRangeType: ValueType<string> = {
  expected: "an IP address or network",
  word: "address",
  schema: { type: "string", pattern: "^[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?$" },
  read: (value) =>
    typeof value === "string" && isAddressRange(value) ? value : new Invalid(addressRangeType.expected),
  print: tomlString,
};

/** The host of a Host header, without the port. */
export const hostnameType: ValueType<string> = {
  expected: "a host name in lower case, without a port",
  word: "host",
  schema: { type: "string", pattern: "^[a-z0-9._:\\[\\]-]+$" },
  read: (value) =>
    typeof value === "string" && /^(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?)$/.test(value)
      ? value
      : new Invalid(hostnameType.expected),
  print: tomlString,
};

/** An origin as browsers send it (scheme://host[:port] and nothing after), or "*". */
export const corsOriginType: ValueType<string> = {
  expected: "an origin",
  word: "origin",
  schema: { type: "string", pattern: "^(?:\\*|https?://[^/]+)$" },
  read: (value) => (value === "*" || isOrigin(value) ? value : new Invalid(corsOriginType.expected)),
  print: tomlString,
};

/** One origin; "*" is not valid. */
export const originType: ValueType<string> = {
  expected: 'an origin such as "https://example.com"',
  word: "origin",
  schema: { type: "string", pattern: "^https?://[^/]+$" },
  read: (value) => (isOrigin(value) ? value : new Invalid(originType.expected)),
  print: tomlString,
};

const isOrigin = (value: unknown): value is string =>
  typeof value === "string" && /^https?:/.test(value) && URL.canParse(value) && new URL(value).origin === value;

/** Where an issuer publishes its keys; "" = nowhere. Keys that are read without TLS could be replaced on their way. */
export const jwksUrlType: ValueType<string> = {
  expected: 'an https:// URL (http:// only to a loopback address); "" = none',
  word: "url",
  schema: { type: "string", pattern: "^$|^https?://" },
  read: (value) => (value === "" || isJwksUrl(value) ? value : new Invalid(jwksUrlType.expected)),
  print: tomlString,
};

function isJwksUrl(value: unknown): value is string {
  if (typeof value !== "string" || !URL.canParse(value)) return false;
  const { protocol, hostname, username, password } = new URL(value);
  if (username !== "" || password !== "") return false;
  const isLoopback = hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d+){3}$/.test(hostname);
  return protocol === "https:" || (protocol === "http:" && isLoopback);
}

/** Where a webhook is sent. A password in it would be shown. */
export const webhookUrlType: ValueType<string> = {
  expected: "an http:// or https:// URL without user and password",
  word: "url",
  schema: { type: "string", pattern: "^https?://" },
  read: (value) => (isPlainUrl(value) ? value : new Invalid(webhookUrlType.expected)),
  print: tomlString,
};

/** Where spans are sent; "" = nowhere. Credentials belong in OTEL_EXPORTER_OTLP_HEADERS, which is not printed. */
export const collectorUrlType: ValueType<string> = {
  expected: 'an http:// or https:// URL without a user; "" = none',
  word: "url",
  schema: { type: "string", pattern: "^$|^https?://" },
  read: (value) => (value === "" || isPlainUrl(value) ? value : new Invalid(collectorUrlType.expected)),
  print: tomlString,
};

function isPlainUrl(value: unknown): value is string {
  if (typeof value !== "string" || !/^https?:/.test(value) || !URL.canParse(value)) return false;
  const { username, password } = new URL(value);
  return username === "" && password === "";
}

/** A NATS server. Its user and password are not printed. */
export const natsServerType: ValueType<string> = {
  expected: "a NATS address",
  word: "address",
  schema: { type: "string", pattern: "^(?:nats|tls)://" },
  read: (value) => (isNatsServer(value) ? value : new Invalid(natsServerType.expected)),
  print: (value) => tomlString(maskCredentials(value)),
};

const isNatsServer = (value: unknown): value is string =>
  typeof value === "string" &&
  /^(?:nats|tls):\/\//.test(value) &&
  URL.canParse(value) &&
  new URL(value).hostname !== "";
