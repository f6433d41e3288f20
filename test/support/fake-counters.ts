/** What the fake Mongrel2 counts. */

/** What happened since the start. Restarts do not reset it. */
export class Counters {
  /** Frames that were taken, malformed ones included. */
  frames = 0;
  extended = 0;
  /** Skipped; those for too many connections included. */
  malformed = 0;
  oversized = 0;
  /** Good frames without effect, because a malformed X frame came before. */
  swallowed = 0;
  /** Messages queued for connections (closes included), and bodies and bytes that reached a browser. */
  queued = 0;
  written = 0;
  bytes = 0;
  keepAlives = 0;
  cancels = 0;
  closes = 0;
  /** Closes that did nothing, because 16 messages waited. */
  lostCloses = 0;
  /** Connections destroyed by a limit or by an unknown extended reply. */
  killed = 0;
  requests = 0;
  /** Disconnect notices, to fences (ids that cannot exist) too. */
  notices = 0;
  credits = 0;
  /** The real server would have crashed. */
  crashes = 0;
}
