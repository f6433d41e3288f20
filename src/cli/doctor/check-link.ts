/** Whether messages pass in both directions between the daemon, or this process, and a running Mongrel2. */
import type { Config, ServerConfig } from "../../config/schema.js";
import { linkImplementation } from "../../config/zmq-implementation.js";
import { M2pushError } from "../../errors.js";
import type { ServerStatus, Status } from "../../observability/admin/status.js";
import type { Clock } from "../../util/clock.js";
import { checkRecvIdent } from "./check-idents.js";
import { diagnose } from "./diagnose.js";
import { isConnected } from "./find-mongrel2.js";
import { type Finding, fail } from "./finding.js";
import { liveFindings } from "./live-findings.js";
import { probe } from "./probe.js";
import { type RoundTrip, roundTrip } from "./round-trip.js";

/** `daemon`: the status of the running daemon; undefined: none answers. */
export async function checkLink(
  ours: ServerConfig,
  config: Config,
  daemon: Status | undefined,
  clock: Clock,
): Promise<Finding[]> {
  const served = daemon?.servers.find((it) => it.sendSpec === ours.send_spec && it.recvSpec === ours.recv_spec);
  const second = daemon?.conditions.find(({ code, subject }) => code === "second_daemon" && subject === served?.name);
  if (second) return [fail(second.message, second.fix)];
  // Mongrel2 distributes requests among the sockets on send_spec: a PULL socket of this process would take every other request from
  // the daemon. The daemon has sent fences of its own, so its status is used instead.
  if (served?.live) return [servedFinding(served), ...(await checkPrefix(ours, config, clock))];
  if (served) return [await diagnose(ours, clock)];
  if (!ours.bind && isConnected(ours.send_spec)) return [await occupied(ours, clock)];
  return checkRoundTrip(ours, config, clock);
}

async function checkRoundTrip(ours: ServerConfig, config: Config, clock: Clock): Promise<Finding[]> {
  try {
    const trip = await roundTrip(ours, clock, linkImplementation(config, ours).implementation);
    if (!trip) return [await diagnose(ours, clock)];
    return [passed(trip, ours), ...shared(trip, ours), ...(await checkPrefix(ours, config, clock))];
  } catch (error) {
    if (!(error instanceof M2pushError)) throw error;
    return [liveFindings.linkFailed(error.message)];
  }
}

const servedFinding = ({ silent, fenceRoundTripMs }: ServerStatus): Finding =>
  silent ? liveFindings.servedSilent() : liveFindings.served(fenceRoundTripMs);

/** Either a process that cannot be queried serves this Mongrel2, or the address is not Mongrel2's. */
async function occupied(ours: ServerConfig, clock: Clock): Promise<Finding> {
  const found = await probe(ours.recv_spec, { clock, listen: true });
  if (found.kind !== "socket" || found.type !== "SUB") return diagnose(ours, clock);
  return liveFindings.occupied(ours.send_spec);
}

const passed = ({ milliseconds, ident }: RoundTrip, ours: ServerConfig): Finding =>
  ident === ours.send_ident
    ? liveFindings.roundTrip(milliseconds)
    : liveFindings.identOfAnother(ident, ours.send_ident);

/** Notices for fences of another process arrived during the round trip. */
const shared = ({ isShared }: RoundTrip, ours: ServerConfig): Finding[] =>
  isShared && !ours.shared ? [liveFindings.secondDaemon(ours.send_spec)] : [];

/** The prefix that Mongrel2's SUB socket subscribes to: it may have been started from another configuration. */
async function checkPrefix(ours: ServerConfig, { mongrel2 }: Config, clock: Clock): Promise<Finding[]> {
  if (ours.bind) return [];
  const found = await probe(ours.recv_spec, { clock, listen: true });
  if (found.kind !== "socket" || found.subscription === undefined) return [];
  const finding = checkRecvIdent(ours.send_ident, found.subscription, mongrel2.length);
  return finding.level === "ok" ? [] : [finding];
}
