/** Mongrel2's limits against ours. The numbers are its defaults (setting.c, superpoll.c of 1.12.2). */
import type { Config, ServerConfig } from "../../config/schema.js";
import { type Mongrel2Database, setting } from "../../mongrel2/mongrel2-database.js";
import { type Finding, fail, ok, warn } from "./finding.js";

/** Descriptors that Mongrel2 needs for itself: with max_fd 128 it served 102 clients. */
const OWN = 26;
/** Clients that Mongrel2's hot set holds as it comes: max_fd 10240 / hot_dividend 4. */
const NORMAL_HOT = 2560;

/** One frame above this is dropped as a whole. */
export function checkTargets({ max_targets: ours }: ServerConfig, database: Mongrel2Database): Finding {
  const theirs = setting(database, "limits.handler_targets", 128);
  if (theirs >= ours) return ok(`a message may go to ${theirs} connections, max_targets is ${ours}`);
  const what = `limits.handler_targets is ${theirs}, max_targets is ${ours}: Mongrel2 drops every larger message`;
  return fail(what, `set max_targets = ${theirs}, or 'limits.handler_targets': ${ours}`);
}

/**
 * Mongrel2 closes a connection when more than kill_limit of three hold: no ping for min_ping seconds, few bytes read, few
 * bytes written. Only the first can be kept away, by our keep-alives.
 */
export function checkIdle({ stream: { keepalive } }: Config, database: Mongrel2Database): Finding {
  const ping = setting(database, "limits.min_ping", 120);
  const kill = setting(database, "limits.kill_limit", 2);
  const rates = [setting(database, "limits.min_read_rate", 300), setting(database, "limits.min_write_rate", 300)];
  const slow = rates.filter((rate) => rate > 0).length;
  const fix = "set 'limits.min_ping': 0";
  if (slow > kill) {
    const what = `limits.kill_limit ${kill} lets Mongrel2 close every quiet stream, whatever keep-alives come`;
    return fail(what, "set 'limits.kill_limit': 3");
  }
  if (ping === 0 || slow + 1 <= kill) return ok("Mongrel2 closes no quiet stream");
  if (keepalive >= ping * 1000) {
    return fail(
      `limits.min_ping is ${ping} s, [stream] keepalive ${keepalive / 1000} s: quiet streams are closed`,
      fix,
    );
  }
  if (keepalive > ping * 750) {
    return warn(`[stream] keepalive ${keepalive / 1000} s is close to limits.min_ping ${ping} s`, fix);
  }
  return ok(`keep-alives come every ${keepalive / 1000} s, limits.min_ping is ${ping} s`);
}

export interface ClientLimits {
  /** As many as there may be; undefined = nobody said. */
  readonly most: number | undefined;
  /** As many as there are. */
  readonly now: number;
}

/** `files`: how many files Mongrel2's process may open; undefined where that cannot be seen. */
export function checkCapacity(clients: ClientLimits, files: number | undefined, database: Mongrel2Database): Finding[] {
  const max = setting(database, "superpoll.max_fd", 10_240);
  const dividend = setting(database, "superpoll.hot_dividend", 4);
  if (dividend <= 1)
    return [fail(`superpoll.hot_dividend ${dividend} makes Mongrel2 crash at its start`, "set it to 2")];
  return [checkHot(clients, max, dividend), ...checkFiles(max, files)];
}

/** Beyond max_fd clients wait in the backlog; beyond the hot set every batch of output may wait half a second. */
function checkHot({ most, now }: ClientLimits, max: number, dividend: number): Finding {
  const clients = Math.max(most ?? 0, now);
  const hot = Math.floor(max / dividend);
  const fix = roomFor(Math.max(clients, NORMAL_HOT));
  const there = most !== undefined && most >= now ? `[stream] max_clients is ${most}` : `${now} are connected now`;
  if (clients + OWN > max) {
    const what = `Mongrel2 accepts ${Math.max(0, max - OWN)} clients at most (superpoll.max_fd ${max}, less ${OWN} for itself), and ${there}`;
    return fail(`${what}: the others hang before they are accepted`, fix);
  }
  const serves = `Mongrel2 serves ${hot} clients without delay (superpoll.max_fd ${max} / hot_dividend ${dividend})`;
  if (clients > hot) return fail(`${serves}, and ${there}: with more than that, output can wait 0.5 s`, fix);
  if (most !== undefined) return ok(`${serves}, and ${there}`);
  if (hot >= NORMAL_HOT) return ok(serves);
  return warn(`${serves}, fewer than with its own defaults (${NORMAL_HOT})`, fix);
}

function roomFor(clients: number): string {
  const max = Math.max(2 * (clients + OWN), 10_240);
  if (max > 65_536) return "spread the clients over several Mongrel2 servers (max_fd ends at 65536)";
  return `set 'superpoll.max_fd': ${max}, 'superpoll.hot_dividend': 2`;
}

/** Mongrel2 raises its limit of open files to max_fd where it may, and stays silently at the soft one where not. */
function checkFiles(max: number, files: number | undefined): Finding[] {
  if (files === undefined) return [];
  if (files >= max)
    return [ok(`the limit of open files of Mongrel2's process is ${files}, enough for superpoll.max_fd ${max}`)];
  const what = `the limit of open files of Mongrel2's process is ${files}, below superpoll.max_fd ${max}: clients beyond it hang`;
  return [fail(what, `start it with a hard limit of ${max} or more (ulimit -Hn, or LimitNOFILE= in its unit)`)];
}
