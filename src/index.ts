/**
 * The API for programs that embed the daemon: load a configuration, start a daemon, publish, listen to its events, stop it.
 * docs/embedding.md has an example that runs in a test.
 */
export { type LoadedConfig, type LoadOptions, loadConfig } from "./config/load-config.js";
export type { Config, ServerConfig } from "./config/schema.js";
export type { Daemon, DaemonAddress, DaemonOptions, EventToPublish } from "./daemon/daemon-api.js";
export { startDaemon } from "./daemon.js";
export type { DeliveryEvent } from "./delivery/events.js";
export { type ErrorCode, M2pushError, ProtocolError } from "./errors.js";
export type { AdoptionEvent, DaemonEvent, EventOf, IngressEvent, LinkEvent, RequestEvent } from "./hub/events.js";
export { openLog } from "./observability/log/logger.js";
export type { Draft, Publication } from "./protocol/publication.js";
export { type Cancel, type Clock, systemClock } from "./util/clock.js";
export type { ActiveCondition, ConditionEvent } from "./util/conditions.js";
