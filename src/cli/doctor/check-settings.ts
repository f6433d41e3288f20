/**
 * The settings of Mongrel2 that docs/operating.md recommends and that are not compared with the daemon's own limits (check-idle.ts,
 * check-targets.ts and check-capacity.ts do that). The defaults are those of setting.c and the sources of Mongrel2 1.12.2.
 */
import { type Mongrel2Database, setting } from "../../mongrel2/mongrel2-database.js";
import { databaseFindings } from "./database-findings.js";
import type { Finding } from "./finding.js";

interface RecommendedSetting {
  readonly key: string;
  /** Mongrel2's default. */
  readonly normal: number;
  readonly isGood: (value: number) => boolean;
  /** The value to set. */
  readonly wanted: number;
  /** The consequence of another value. */
  readonly effect: (value: number) => string;
}

const CONTENT_LENGTH = "limits.content_length";
/** The largest event, 100,000 bytes, URL-encoded (three bytes each), plus topics and tokens. */
const CONTENT_BYTES = 327_680;
/** The daemon does not read a longer request completely: zmq/native-transport.ts. */
const MAX_CONTENT_BYTES = 8_000_000;
/** Mongrel2 escapes headers in a time that grows with the square of their length: docs/threat-model.md. */
const MAX_BUFFER_BYTES = 16_384;
const BUFFER_BYTES = 4096;

const RECOMMENDED: readonly RecommendedSetting[] = [
  {
    key: "limits.tick_timer",
    normal: 10,
    isGood: (seconds) => seconds === 1,
    wanted: 1,
    effect: (seconds) =>
      `after a restart, the daemon needs up to ${seconds + 2} s to verify that Mongrel2 has not restarted too`,
  },
  {
    key: "net.tcp_keepalive",
    normal: 0,
    isGood: (value) => value !== 0,
    wanted: 1,
    effect: () => "Mongrel2 keeps connections of clients whose machine or network has disappeared",
  },
  {
    key: CONTENT_LENGTH,
    normal: 20_480,
    isGood: (bytes) => bytes >= CONTENT_BYTES && bytes <= MAX_CONTENT_BYTES,
    wanted: CONTENT_BYTES,
    effect: (bytes) =>
      bytes < CONTENT_BYTES
        ? "Mongrel2 refuses events that m2push accepts over HTTP (100,000 bytes, URL-encoded)"
        : "the daemon does not read requests of more than 8 MB completely",
  },
  {
    key: "download.flow_control",
    normal: 0,
    isGood: (value) => value === 0,
    wanted: 0,
    effect: () =>
      "Mongrel2 sends a message for each delivery, which costs four times the CPU time and which m2push does not use",
  },
  {
    key: "limits.buffer_size",
    normal: BUFFER_BYTES,
    isGood: (bytes) => bytes >= BUFFER_BYTES && bytes <= MAX_BUFFER_BYTES,
    wanted: BUFFER_BYTES,
    effect: (bytes) =>
      bytes < BUFFER_BYTES
        ? "Mongrel2 answers 400 to request heads with a long token, event id or list of topics"
        : "one client can block Mongrel2 with large headers, which it escapes in quadratic time",
  },
];

/** Mongrel2's upload.c closes descriptor 0 where no store is set: docs/architecture/mongrel2.md 2.15. */
export function checkUploads({ settings }: Mongrel2Database): Finding[] {
  return [settings.has("upload.temp_store") ? databaseFindings.uploadsGood() : databaseFindings.uploadsUnset()];
}

/** Mongrel2 replaces the X-Forwarded-For of a proxy by the proxy's address: docs/architecture/mongrel2.md 1.1. */
export function checkForwarding(database: Mongrel2Database, trustedProxies: readonly string[]): Finding[] {
  if (trustedProxies.length === 0) return [];
  const isKept = setting(database, "no_clobber_xff", 0) !== 0;
  return [isKept ? databaseFindings.forwardingKept() : databaseFindings.forwardingReplaced()];
}

/** `batchBytes`: [publish] max_batch_bytes. */
export function checkSettings(database: Mongrel2Database, batchBytes: number): Finding[] {
  return RECOMMENDED.map(({ key, normal, isGood, wanted, effect }) => {
    const value = setting(database, key, normal);
    if (!isGood(value)) return databaseFindings.settingBad(key, value, effect(value), wanted);
    if (key === CONTENT_LENGTH && value < batchBytes) return databaseFindings.batchesTooLarge(value, batchBytes);
    return databaseFindings.settingGood(key, value);
  });
}
