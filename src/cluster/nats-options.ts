/** From the configuration to what a session with NATS needs. */
import { readFileSync } from "node:fs";
import type { Config } from "../config/schema.js";
import { M2pushError, messageOf } from "../errors.js";
import type { NatsOptions } from "./nats-connection.js";

/** Throws "config_invalid" when a file cannot be read. */
export function natsOptions({ cluster, history }: Pick<Config, "cluster" | "history">): NatsOptions {
  const { nats: servers, stream, replicas, user, password, token } = cluster;
  const [credentials, ca, cert, key] = (["credentials", "tls_ca", "tls_cert", "tls_key"] as const).map((name) =>
    cluster[name] === "" ? undefined : read(name, cluster[name]),
  );
  return {
    servers,
    stream,
    replicas,
    inMemory: history.store === "memory",
    limits: { maxEvents: history.max_events, maxAge: history.max_age, maxBytes: history.max_bytes },
    ...(user !== "" && { user, password }),
    ...(token !== "" && { token }),
    ...(credentials && { credentials }),
    ...((ca || cert) && { tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } }),
  };
}

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const why = messageOf(cause);
    throw new M2pushError("config_invalid", `cluster.${name}: ${path} cannot be read: ${why}`, { cause });
  }
}
