/**
 * Message and fix of each condition (conditions.ts), in one place: edit a text here. Tests compare with it, and docs/troubleshooting.md
 * quotes it. A message says what happened, a fix what to do.
 */

interface ConditionText {
  readonly message: string;
  readonly fix: string;
}

const SECOND_DAEMON = "another daemon reads requests from the same send_spec";
const CONTROL_KEY = 'control = "ipc://run/control" (Mongrel2\'s control_port) in [[mongrel2]]';
const CONNECTIONS_FIX = "disconnect programs that hold idle connections, or raise LimitNOFILE (ulimit -n)";
const MS_PER_SECOND = 1000;

export const conditionTexts = {
  // The link to Mongrel2.
  unreachable: (what: string, fix: string) => ({ message: `Mongrel2 unreachable: ${what}`, fix }),
  silent: () => ({
    message: "Mongrel2 takes messages but does not answer",
    fix: "check whether Mongrel2 is stopped or busy, and whether another handler uses the send_spec",
  }),
  neverAnswered: () => ({
    message: "no answer from Mongrel2",
    fix: "check that Mongrel2 runs, that send_spec and recv_spec are not swapped, and that recv_ident matches send_ident",
  }),
  controlUnreachable: () => ({
    message: "the control port of Mongrel2 does not answer: a restart of m2push would close all streams",
    fix: "set control to the control_port of Mongrel2, start Mongrel2, and let this user connect (m2push doctor)",
  }),
  privateRefused: (hasControl: boolean) => ({
    message: "private events are not served: behind a proxy (bind) a restart of Mongrel2 cannot be detected",
    fix: hasControl ? "check why the control port does not answer (m2push doctor)" : `set ${CONTROL_KEY}`,
  }),
  secondDaemonStays: () => ({
    message: `${SECOND_DAEMON}: each gets half of them`,
    fix: "stop one of the two; or use --shared for both to run them on purpose",
  }),
  secondDaemonLeaves: () => ({
    message: `${SECOND_DAEMON}, and started first: this one stops serving`,
    fix: "stop this daemon; or stop the other one, then restart this one; use --shared to run both on purpose",
  }),

  // Connections of an earlier process.
  adoptionUndecided: (clients: number) => ({
    message: `${clients} streams of the previous process wait for the proof that Mongrel2 has not restarted`,
    fix: "none needed: without a proof m2push closes them after 12 s, and the browsers reconnect; if it lasts, check [[mongrel2]] control",
  }),
  /** `reason`: why connections of this application cannot be told from those of others. */
  orphansUnknown: (connections: number | "some", timeoutMs: number, reason: string) => ({
    message: `${connections} connections may wait for a response or for events in vain, and cannot be told from those of other applications: ${orphanOutcome(connections, timeoutMs)}`,
    fix: `set [[mongrel2]] database, if no other application answers requests of this Mongrel2 (${reason}); or restart Mongrel2`,
  }),

  // Storage and cluster.
  storageFailing: (why: string, fix: string) => ({ message: `publications cannot be stored: ${why}`, fix }),
  streamRefuses: (why: string) => ({
    message: `publications cannot be stored: NATS refuses them: ${why}`,
    fix: "raise the limits of the stream or let it discard old messages, or free space for JetStream (nats stream info)",
  }),
  historyReadFailing: (why: string) => ({
    message: `the history cannot be read: ${why}`,
    fix: "look for errors of the disk that holds [history] path (dmesg), or of NATS; a damaged file is found by a restart",
  }),
  clientRecordFailing: (why: string) => ({
    message: `the record of clients cannot be written: ${why}`,
    fix: "make room on the disk of [history] path, and the folder writable; until then a restart of m2push closes streams",
  }),
  clusterUnavailable: (why: string) => ({
    message: `disconnected from NATS: ${why}`,
    fix: "start NATS, or correct [cluster] nats; the daemon connects again by itself",
  }),

  // Webhooks.
  webhookFailing: (reason: string) => ({
    message: `the receiver of the webhook does not take events: ${reason}`,
    fix: "start the receiver, or correct url and secret in [[webhook]]; events wait, up to [events] max_pending and max_age",
  }),
  webhookGone: () => ({
    message: "the receiver of the webhook wants no further events (410 Gone): it is disabled",
    fix: "remove the [[webhook]] table, or correct its url; then reload the configuration (SIGHUP), which enables it again",
  }),
  webhookStoreFailing: (why: string) => ({
    message: `events for webhooks cannot be stored: ${why}`,
    fix: "make room on the disk of [history] path, and the folder writable; until then events wait in memory",
  }),
  tracesFailing: (why: string) => ({
    message: `the collector does not take spans, which are lost: ${why}`,
    fix: "start the OpenTelemetry collector, or correct [traces] endpoint; events are not concerned",
  }),

  // Limits.
  publishersAtLimit: (connections: number) => ({
    message: `publishers use all ${connections} connections of their limit: the daemon refuses further ones`,
    fix: CONNECTIONS_FIX,
  }),
  subscribersAtLimit: (connections: number) => ({
    message: `subscribers of [events] zmq use all ${connections} connections of their limit: the daemon refuses further ones`,
    fix: "let programs share a subscriber, for example a ZeroMQ proxy (XSUB and XPUB)",
  }),
  adminAtLimit: (connections: number) => ({
    message: `clients of the admin address use all ${connections} connections of their limit: the daemon closes idle ones`,
    fix: CONNECTIONS_FIX,
  }),
} as const satisfies Readonly<Record<string, (...values: never[]) => ConditionText>>;

function orphanOutcome(connections: number | "some", timeoutMs: number): string {
  if (connections === "some") return "without the control port m2push closes none of them";
  if (timeoutMs === 0) return "m2push closes none of them, because orphan_timeout is 0";
  return `m2push closes each after ${timeoutMs / MS_PER_SECOND} s without a byte moving on it (orphan_timeout)`;
}
