/** Whether Mongrel2 can hold the clients. Its default settings are those of superpoll.c of 1.12.2. */
import { type Mongrel2Database, setting } from "../../mongrel2/mongrel2-database.js";
import type { Finding } from "./finding.js";
import { limitFindings } from "./limit-findings.js";

/** File descriptors that Mongrel2 needs for itself: with max_fd 128 it served 102 clients. */
const OWN_DESCRIPTORS_COUNT = 26;
const DEFAULT_MAX_FD_COUNT = 10_240;
const DEFAULT_HOT_DIVIDEND_RATIO = 4;
/** Clients in Mongrel2's hot set with its default settings: max_fd / hot_dividend. */
const DEFAULT_HOT_CLIENTS = DEFAULT_MAX_FD_COUNT / DEFAULT_HOT_DIVIDEND_RATIO;
/** Mongrel2 accepts no larger superpoll.max_fd. */
const HIGHEST_MAX_FD_COUNT = 65_536;

export interface ClientLimits {
  /** The configured maximum; undefined = no limit. */
  readonly most: number | undefined;
  /** The number of connected clients. */
  readonly now: number;
}

/** `files`: the open-file limit of Mongrel2's process; undefined where it cannot be read. */
export function checkCapacity(clients: ClientLimits, files: number | undefined, database: Mongrel2Database): Finding[] {
  const maxFd = setting(database, "superpoll.max_fd", DEFAULT_MAX_FD_COUNT);
  const dividend = setting(database, "superpoll.hot_dividend", DEFAULT_HOT_DIVIDEND_RATIO);
  if (dividend <= 1) return [limitFindings.hotDividend(dividend)];
  return [checkHotSet(clients, maxFd, dividend), ...checkOpenFiles(maxFd, files)];
}

/** Beyond max_fd clients stay in the listen backlog; beyond the hot set every batch of output may be delayed by half a second. */
function checkHotSet({ most, now }: ClientLimits, maxFd: number, dividend: number): Finding {
  const count = Math.max(most ?? 0, now);
  const hot = { clients: Math.floor(maxFd / dividend), maxFd, dividend };
  const fix = capacityFix(Math.max(count, DEFAULT_HOT_CLIENTS));
  const isLimited = most !== undefined && most >= now;
  const clients = isLimited ? limitFindings.maxClients(most) : limitFindings.connectedClients(now);
  if (count + OWN_DESCRIPTORS_COUNT > maxFd) {
    const limit = Math.max(0, maxFd - OWN_DESCRIPTORS_COUNT);
    return limitFindings.tooManyClients(limit, maxFd, OWN_DESCRIPTORS_COUNT, clients, fix);
  }
  if (count > hot.clients) return limitFindings.hotSetTooSmall(hot, clients, fix);
  if (most !== undefined) return limitFindings.hotSetGood(hot, clients);
  if (hot.clients >= DEFAULT_HOT_CLIENTS) return limitFindings.hotSetGood(hot);
  return limitFindings.hotSetBelowDefault(hot, DEFAULT_HOT_CLIENTS, fix);
}

function capacityFix(clients: number): string {
  const maxFd = Math.max(2 * (clients + OWN_DESCRIPTORS_COUNT), DEFAULT_MAX_FD_COUNT);
  return maxFd > HIGHEST_MAX_FD_COUNT ? limitFindings.moreServers : limitFindings.raiseMaxFd(maxFd);
}

/** Mongrel2 raises its soft open-file limit to max_fd if the hard limit allows; otherwise it silently keeps the soft one. */
function checkOpenFiles(maxFd: number, files: number | undefined): Finding[] {
  if (files === undefined) return [];
  return [files >= maxFd ? limitFindings.openFilesGood(files, maxFd) : limitFindings.openFilesTooFew(files, maxFd)];
}
