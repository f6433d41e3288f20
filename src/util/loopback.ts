import { isIPv4 } from "node:net";

/** Whether an IP address is of this machine only: 127.0.0.0/8 or ::1, also as IPv4 in IPv6. False for names. */
export const isLoopback = (address: string): boolean =>
  isIPv4(address) ? address.startsWith("127.") : address === "::1" || address.startsWith("::ffff:127.");
