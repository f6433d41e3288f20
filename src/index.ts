/**
 * The API for programs that embed the daemon: load a configuration, start a daemon, publish, listen to its events, stop it.
 * docs/embedding.md has an example that runs in a test.
 */
export { type LoadedConfig, type LoadOptions, loadConfig } from "./config/load-config.js";
export type { Config, ServerConfig } from "./config/schema.js";
export type { Daemon, DaemonAddress, DaemonOptions, EventToPublish } from "./daemon/daemon-api.js";
export { startDaemon } from "./daemon.js";
export { type ErrorCode, M2pushError, ProtocolError } from "./errors.js";
export type { DaemonEvent, EventOf } from "./hub/events.js";
export { type Logger, openLog } from "./observability/log/logger.js";
export { type Clock, systemClock } from "./util/clock.js";
