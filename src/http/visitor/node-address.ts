/** Reads the address of one hop, as Forwarded (RFC 7239 section 6), X-Forwarded-For and X-Real-IP write it. */
import { isIPv4, isIPv6, SocketAddress } from "node:net";

/** A port, or the obfuscated form of one (RFC 7239 section 6.2). */
const PORT = ":(?:[0-9]{1,5}|_[\\w.-]+)";
const BRACKETED = new RegExp(`^\\[([0-9A-Fa-f:.]+)\\](?:${PORT})?$`);
const IPV4_WITH_PORT = new RegExp(`^([0-9.]+)${PORT}$`);
const MAPPED_PREFIX = "::ffff:";

/**
 * The address in one spelling, without brackets and port. Undefined for "unknown", obfuscated identifiers (`_gazonk`), host names, zones and
 * everything malformed.
 */
export function readNodeAddress(node: string): string | undefined {
  const [, bare = node] = BRACKETED.exec(node) ?? IPV4_WITH_PORT.exec(node) ?? [];
  return canonicalAddress(bare);
}

/** An IP address in the one spelling that is compared and counted: an IPv4-mapped IPv6 address is the IPv4 address. */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text) || text.includes("%")) return undefined;
  const { address } = new SocketAddress({ address: text, family: "ipv6" });
  const mapped = address.startsWith(MAPPED_PREFIX) ? address.slice(MAPPED_PREFIX.length) : "";
  return isIPv4(mapped) ? mapped : address;
}
