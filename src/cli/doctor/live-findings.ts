/** Findings about running processes: the daemon, Mongrel2's control port, and the link. Every text is here once; tests compare with it. */
import { fail, ok, quoted, warn } from "./finding.js";

type SpecName = "send_spec" | "recv_spec";

export const liveFindings = {
  // The daemon.
  daemonNotQueried: (reason: string) => ok(`the daemon cannot be queried: ${reason}`),
  daemonMissing: (reason: string) =>
    warn(
      `no daemon was found (${reason}): Mongrel2 holds requests until one runs; doctor tests the link itself`,
      "start it: m2push serve, or systemctl start m2push",
    ),
  daemonDiffers: (pid: number) =>
    warn(
      `the running daemon (pid ${pid}) has other specs than this configuration`,
      "restart it, or pass the configuration that it was started with (-c)",
    ),
  daemonReady: (version: string, pid: number) => ok(`version ${version} runs (pid ${pid}) and is ready`),
  daemonNotReady: (pid: number, problems: readonly string[]) =>
    fail(`the daemon (pid ${pid}) is not ready: ${problems.join("; ")}`, "see the lines below"),

  // The control port.
  controlMissing: (name: string, bind: boolean) =>
    warn(
      `no control port is configured: streams do not survive a restart of m2push${bind ? ", and with bind = true private events are not served" : ""}`,
      `add control = "ipc://run/control" (Mongrel2's control_port) to [[mongrel2]] ${quoted(name)}`,
    ),
  controlGood: (uuid: string) => ok(`the control port answers for server ${uuid}`),
  controlOfAnother: (control: string, uuid: string) =>
    fail(
      `the Mongrel2 at ${control} is server ${uuid}, which is not the server of the database`,
      "pass the database that Mongrel2 was started with, or set control to the port of that server",
    ),
  controlDenied: (control: string) =>
    fail(`no permission to connect to the control port ${control}`, "run m2push as Mongrel2's user"),
  controlSilent: (control: string, code: string | undefined) =>
    fail(
      `the control port does not answer at ${control}${code === undefined ? "" : ` (${code})`}`,
      "start Mongrel2, or set control to its control_port (relative to the folder where it was started, or to its chroot)",
    ),

  // The link.
  served: (fenceMs: number | null) =>
    ok(
      `the running daemon serves it: ${fenceMs === null ? "no fence yet" : `the last fence took ${fenceMs.toFixed(2)} ms`}`,
    ),
  servedSilent: () =>
    fail(
      "the running daemon serves it, but Mongrel2 has stopped answering",
      "check whether Mongrel2 is stopped or overloaded, and whether another handler uses the same send_spec",
    ),
  occupied: (spec: string) =>
    warn(
      `another process is connected to ${spec}: doctor sent no fence, because it would receive some of that process's requests`,
      "if it is m2push, set [admin] listen so that doctor can query it; otherwise stop it",
    ),
  roundTrip: (milliseconds: number) =>
    ok(`a fence returned after ${milliseconds.toFixed(1)} ms: both directions of the link work`),
  identOfAnother: (theirs: string, ours: string) =>
    fail(
      `Mongrel2 signs its messages with send_ident ${quoted(theirs)}, but [[mongrel2]] has ${quoted(ours)}`,
      "set send_ident to the same value in [[mongrel2]] and in the Handler",
    ),
  secondDaemon: (spec: string) =>
    warn(
      `another daemon already reads requests from ${spec}: each of two daemons would receive every other request`,
      "stop it before this one starts, or start both with --shared if that is intended",
    ),
  linkFailed: (message: string) =>
    fail(message, "if another m2push uses these addresses, set [admin] listen so that doctor can query it"),

  // Why no fence returned.
  noFenceThroughProxy: () =>
    fail(
      "no fence returned",
      "check that the proxy and Mongrel2 run, which side of the proxy each uses, and recv_ident",
    ),
  noFenceThroughCurve: () =>
    fail(
      "no fence returned through the ZeroMQ proxy, whose sockets towards the daemon need CURVE",
      "compare the proxy's keys with curve_server_secret_key and curve_client_public_key, and use no CURVE between the proxy and Mongrel2, which has none",
    ),
  specsSwapped: (sendSpec: string, recvSpec: string) =>
    fail(
      `send_spec and recv_spec are swapped: Mongrel2's SUB socket is at ${sendSpec}, its PUSH socket at ${recvSpec}`,
      "exchange the two in [[mongrel2]] (both are named from Mongrel2's point of view)",
    ),
  nothingListens: (sendSpec: string, recvSpec: string, code: string) =>
    fail(
      `nothing listens at send_spec ${sendSpec} nor at recv_spec ${recvSpec} (${code})`,
      "start Mongrel2; if it runs, set both specs to those of its Handler",
    ),
  oneAbsent: (name: SpecName, spec: string, code: string) =>
    fail(`nothing listens at ${name} ${spec} (${code}), but the other address answers`, useHandlers(name)),
  denied: (name: SpecName, spec: string, path: string | undefined) =>
    fail(
      `no permission to connect to ${name} ${spec}: the socket file ${path} belongs to another user`,
      "run m2push as Mongrel2's user, or use tcp (Mongrel2 creates its sockets for its own user only)",
    ),
  mute: (name: SpecName, spec: string) =>
    fail(
      `${name} ${spec} accepts connections but sends nothing`,
      "check whether Mongrel2 is stopped (SIGSTOP) or stuck",
    ),
  foreign: (name: SpecName, spec: string) =>
    fail(`the program at ${name} ${spec} does not speak ZeroMQ`, useHandlers(name)),
  wrongType: (name: SpecName, spec: string, type: string, wanted: string) =>
    fail(`the socket at ${name} ${spec} is a ${type} socket, but Mongrel2's is a ${wanted} socket`, useHandlers(name)),
  noFence: () =>
    fail(
      "Mongrel2's sockets answer, but no fence returned: another handler may receive its messages",
      "connect only one program to this send_spec",
    ),
  prefixDiffers: (theirs: string, ours: string, ident: string) =>
    fail(
      `Mongrel2 accepts responses that begin with ${quoted(theirs)}, but the daemon's begin with ${quoted(ours)}`,
      `if ${ident} is the Handler's send_ident, set it in [[mongrel2]]; otherwise correct recv_ident of the Handler`,
    ),

  // Connections that an earlier process left.
  orphans: (isExclusive: boolean, timeoutSeconds: number, reason: string) => {
    const timeout = timeoutSeconds === 0 ? "are never closed" : `are closed after orphan_timeout (${timeoutSeconds} s)`;
    return ok(`connections that a killed daemon leaves ${isExclusive ? "are closed at once" : timeout}: ${reason}`);
  },
} as const;

const useHandlers = (name: SpecName): string => `set ${name} to that of Mongrel2's Handler`;
