/** A set of IP addresses and networks. It compares addresses, not texts: `::ffff:127.0.0.1` is 127.0.0.1. */
import { BlockList, isIP } from "node:net";

/** Prefix length of a single address, by IP version. */
const ADDRESS_BITS = { 4: 32, 6: 128 } as const;

/** Whether a text is an address or a network in CIDR notation ("10.0.0.0/8", "fd00::/8"). */
export function isAddressRange(text: string): boolean {
  const [address = "", bits, ...more] = text.split("/");
  const version = isIP(address) as 0 | 4 | 6;
  if (version === 0 || address.includes("%") || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= ADDRESS_BITS[version]);
}

export class AddressSet {
  readonly #list = new BlockList();
  readonly size: number;

  /** Every range must satisfy isAddressRange(). */
  constructor(ranges: readonly string[]) {
    this.size = ranges.length;
    for (const range of ranges) {
      const [address = "", bits] = range.split("/");
      const version = isIP(address) as 4 | 6;
      this.#list.addSubnet(address, Number(bits ?? ADDRESS_BITS[version]), version === 4 ? "ipv4" : "ipv6");
    }
  }

  /** False if the text is no address. */
  has(address: string): boolean {
    if (this.size === 0) return false;
    const version = isIP(address);
    return version !== 0 && !address.includes("%") && this.#list.check(address, version === 4 ? "ipv4" : "ipv6");
  }
}
