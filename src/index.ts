/** The public door for programs that embed the daemon. */
export { type LoadedConfig as Loaded, loadConfig } from "./config/load-config.js";
export type { Config, ServerConfig } from "./config/schema.js";
export { type Daemon, startDaemon } from "./daemon.js";
export { type ErrorCode, M2pushError, ProtocolError } from "./errors.js";
export { openLog } from "./observability/log/logger.js";
export type { Draft, Publication } from "./protocol/publication.js";
export { systemClock } from "./util/clock.js";
