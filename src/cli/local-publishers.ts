/** Who may publish over HTTP without a token to a hub that `m2push up` runs (docs/decisions/0104-up-lets-its-machine-publish.md). */
import type { Config } from "../config/schema.js";

/** This machine in a Host header or an origin. */
export const LOCAL_NAMES: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];
/** This machine as a peer. */
const LOCAL_ADDRESSES: readonly string[] = ["127.0.0.1", "::1"];

/**
 * Programs and pages of this machine may publish, as they may over ZeroMQ, where only this machine reaches Mongrel2 (`isLoopback`), the hub
 * has no public name, and the configuration states neither a key nor addresses.
 */
export function withLocalPublishers(config: Config, isLoopback: boolean): Config {
  const { auth, hub } = config;
  const isLocal = isLoopback && LOCAL_NAMES.includes(new URL(hub.origin).hostname);
  if (!isLocal || auth.publisher_key !== "" || auth.allow_publish_from.length > 0) return config;
  return { ...config, auth: { ...auth, allow_publish_from: LOCAL_ADDRESSES } };
}
