/** Findings about Mongrel2's limits and the daemon's own. Every text is here once; tests compare with this table. */
import { fail, ok, warn } from "./finding.js";

const KEEP_QUIET_STREAMS = "set 'limits.min_ping': 0";

export const limitFindings = {
  targetsGood: (theirs: number, ours: number) => ok(`max_targets is ${ours}, limits.handler_targets is ${theirs}`),
  targetsTooHigh: (theirs: number, ours: number) =>
    fail(
      `limits.handler_targets is ${theirs}, but max_targets is ${ours}: Mongrel2 drops larger messages`,
      `set max_targets = ${theirs}, or 'limits.handler_targets': ${ours}`,
    ),

  killLimit: (limit: number) =>
    fail(
      `limits.kill_limit ${limit} makes Mongrel2 close every quiet stream, despite the daemon's keep-alives`,
      "set 'limits.kill_limit': 3",
    ),
  quietStreamsStay: () => ok("Mongrel2 does not close quiet streams"),
  keepaliveTooLong: (pingSeconds: number, keepaliveSeconds: number) =>
    fail(
      `limits.min_ping is ${pingSeconds} s, but [stream] keepalive is ${keepaliveSeconds} s: Mongrel2 closes quiet streams`,
      KEEP_QUIET_STREAMS,
    ),
  keepaliveClose: (pingSeconds: number, keepaliveSeconds: number) =>
    warn(
      `[stream] keepalive (${keepaliveSeconds} s) is close to limits.min_ping (${pingSeconds} s)`,
      KEEP_QUIET_STREAMS,
    ),
  keepaliveGood: (pingSeconds: number, keepaliveSeconds: number) =>
    ok(`[stream] keepalive is ${keepaliveSeconds} s, limits.min_ping is ${pingSeconds} s`),

  hotDividend: (dividend: number) =>
    fail(`superpoll.hot_dividend ${dividend} makes Mongrel2 crash when it starts`, "set 'superpoll.hot_dividend': 2"),
  tooManyClients: (limit: number, maxFd: number, own: number, clients: string, fix: string) =>
    fail(
      `Mongrel2 accepts at most ${limit} clients (superpoll.max_fd ${maxFd} minus ${own} for itself), but ${clients}: further clients hang before they are accepted`,
      fix,
    ),
  hotSetGood: (hot: HotSet, clients?: string) => ok(`${hotSet(hot)}${clients === undefined ? "" : `, and ${clients}`}`),
  hotSetTooSmall: (hot: HotSet, clients: string, fix: string) =>
    fail(`${hotSet(hot)}, but ${clients}: with more clients, output can be delayed by 0.5 s`, fix),
  hotSetBelowDefault: (hot: HotSet, normal: number, fix: string) =>
    warn(`${hotSet(hot)}, fewer than with its default settings (${normal})`, fix),
  openFilesGood: (files: number, maxFd: number) =>
    ok(`the open-file limit of Mongrel2's process is ${files}, enough for superpoll.max_fd ${maxFd}`),
  openFilesTooFew: (files: number, maxFd: number) =>
    fail(
      `the open-file limit of Mongrel2's process is ${files}, below superpoll.max_fd ${maxFd}: clients beyond it hang`,
      `start Mongrel2 with a hard limit of ${maxFd} or more (ulimit -Hn, or LimitNOFILE= in its unit)`,
    ),
  maxClients: (limit: number) => `[stream] max_clients is ${limit}`,
  connectedClients: (count: number) => `${count} are connected`,
  raiseMaxFd: (maxFd: number) => `set 'superpoll.max_fd': ${maxFd}, 'superpoll.hot_dividend': 2`,
  moreServers: "distribute the clients over several Mongrel2 servers (max_fd is at most 65536)",
} as const;

/** Clients that Mongrel2 serves without delay: max_fd / hot_dividend. */
interface HotSet {
  readonly clients: number;
  readonly maxFd: number;
  readonly dividend: number;
}

const hotSet = ({ clients, maxFd, dividend }: HotSet): string =>
  `Mongrel2 serves ${clients} clients without delay (superpoll.max_fd ${maxFd} / hot_dividend ${dividend})`;
