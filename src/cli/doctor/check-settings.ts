/**
 * The settings of Mongrel2 that docs/operating.md lists and that no other check looks at (limits.ts has those that are compared with ours).
 * The defaults are those of setting.c and the sources of Mongrel2 1.12.2.
 */
import { type Mongrel2Database, setting } from "../../mongrel2/mongrel2-database.js";
import { type Finding, ok, warn } from "./finding.js";

interface Setting {
  readonly key: string;
  /** Mongrel2's own. */
  readonly normal: number;
  readonly isGood: (value: number) => boolean;
  /** The value to set. */
  readonly wanted: number;
  /** What another value does. */
  readonly effect: (value: number) => string;
}

/** The largest event, 100,000 bytes, URL-encoded (three bytes each), and room for topics and tokens. */
const CONTENT_BYTES = 327_680;
/** Above this the daemon does not read a request to its end: zmq/native-transport.ts. */
const MAX_CONTENT_BYTES = 8_000_000;
/** Mongrel2 escapes headers in a time that grows with the square of their length: docs/threat-model.md. */
const MAX_BUFFER_BYTES = 16_384;
const BUFFER_BYTES = 4096;

const SETTINGS: readonly Setting[] = [
  {
    key: "limits.tick_timer",
    normal: 10,
    isGood: (seconds) => seconds === 1,
    wanted: 1,
    effect: (seconds) =>
      `a daemon that is started again needs up to ${seconds + 2} s to prove that Mongrel2 is still the same process`,
  },
  {
    key: "net.tcp_keepalive",
    normal: 0,
    isGood: (value) => value !== 0,
    wanted: 1,
    effect: () => "connections of clients that vanished without a word stay open in Mongrel2",
  },
  {
    key: "limits.content_length",
    normal: 20_480,
    isGood: (bytes) => bytes >= CONTENT_BYTES && bytes <= MAX_CONTENT_BYTES,
    wanted: CONTENT_BYTES,
    effect: (bytes) =>
      bytes < CONTENT_BYTES
        ? "Mongrel2 answers 413 to events that are published over HTTP and allowed by m2push (100,000 bytes, URL-encoded)"
        : "the daemon does not read a request of more than 8 MB to its end",
  },
  {
    key: "download.flow_control",
    normal: 0,
    isGood: (value) => value === 0,
    wanted: 0,
    effect: () =>
      "Mongrel2 sends a message for each delivery, which takes four times the CPU and is of no use to m2push",
  },
  {
    key: "limits.buffer_size",
    normal: BUFFER_BYTES,
    isGood: (bytes) => bytes >= BUFFER_BYTES && bytes <= MAX_BUFFER_BYTES,
    wanted: BUFFER_BYTES,
    effect: (bytes) =>
      bytes < BUFFER_BYTES
        ? "Mongrel2 answers 400 to longer request heads: a long token, event id or list of topics does not fit"
        : "one client can hold Mongrel2 up with large headers, which it escapes in quadratic time",
  },
];

export const checkSettings = (database: Mongrel2Database): Finding[] =>
  SETTINGS.map((one) => {
    const { key, normal, isGood, wanted, effect } = one;
    const value = setting(database, key, normal);
    if (isGood(value)) return ok(`${key} is ${value}`);
    return warn(`${key} is ${value}: ${effect(value)}`, `set '${key}': ${wanted}`);
  });
