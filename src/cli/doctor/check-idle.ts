import type { Config } from "../../config/schema.js";
import { type Mongrel2Database, setting } from "../../mongrel2/mongrel2-database.js";
import type { Finding } from "./finding.js";
import { limitFindings } from "./limit-findings.js";

/** From this share of limits.min_ping on, a keep-alive that is a little late may be too late. */
const CLOSE_RATIO = 0.75;

/**
 * Whether Mongrel2 closes quiet streams. It closes a connection when more than kill_limit of three hold: no ping for min_ping seconds,
 * few bytes read, few bytes written. The daemon's keep-alives prevent only the first. The defaults are those of setting.c of 1.12.2.
 */
export function checkIdle({ stream: { keepalive } }: Config, database: Mongrel2Database): Finding {
  const ping = setting(database, "limits.min_ping", 120);
  const kill = setting(database, "limits.kill_limit", 2);
  const rates = [setting(database, "limits.min_read_rate", 300), setting(database, "limits.min_write_rate", 300)];
  const slow = rates.filter((rate) => rate > 0).length;
  const seconds = keepalive / 1000;
  if (slow > kill) return limitFindings.killLimit(kill);
  if (ping === 0 || slow + 1 <= kill) return limitFindings.quietStreamsStay();
  if (seconds >= ping) return limitFindings.keepaliveTooLong(ping, seconds);
  if (seconds > ping * CLOSE_RATIO) return limitFindings.keepaliveClose(ping, seconds);
  return limitFindings.keepaliveGood(ping, seconds);
}
