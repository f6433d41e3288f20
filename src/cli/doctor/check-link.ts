/** What only a running Mongrel2 can tell: its control port, what it listens for, and whether messages go both ways. */

import type { Config, ServerConfig } from "../../config/schema.js";
import { M2pushError } from "../../errors.js";
import type { Status } from "../../observability/admin/status.js";
import { type ControlReply, decodeControlReply, encodeCommand } from "../../protocol/control-protocol.js";
import type { Clock } from "../../util/clock.js";
import { RequestClient } from "../../zmq/request-client.js";
import { diagnose } from "./diagnose.js";
import { checkRecvIdent } from "./find-handler.js";
import { isConnected } from "./find-mongrel2.js";
import { type Finding, fail, ok, quoted, warn } from "./finding.js";
import { probe } from "./probe.js";
import { roundTrip } from "./round-trip.js";

/** How long the control port may take, milliseconds. */
const PATIENCE = 1000;

export interface Uuid {
  readonly findings: readonly Finding[];
  /** Of the Mongrel2 that answered. */
  readonly uuid: string | undefined;
}

/** Asks the control port who it is. `known`: uuids of the servers that may be meant; undefined = nobody said. */
export async function checkControl(
  { control, name, bind }: ServerConfig,
  known: readonly string[] | undefined,
  clock: Clock,
): Promise<Uuid> {
  if (control === undefined) {
    const what = bind
      ? "no control port is configured, and bind is true: private events are not served, and no client survives a restart"
      : "no control port is configured: no client survives a restart of m2push";
    const fix = `add control = "ipc://run/control" (Mongrel2's control_port) to [[mongrel2]] ${quoted(name)}`;
    return { findings: [warn(what, fix)], uuid: undefined };
  }
  const uuid = await askUuid(control);
  if (uuid === undefined) return { findings: [await absentControl(control, clock)], uuid };
  if (!known || known.includes(uuid)) return { findings: [ok(`the control port answers for server ${uuid}`)], uuid };
  const what = `the Mongrel2 at ${control} is server ${uuid}, which is not the one of the database`;
  return { findings: [fail(what, "give the database that Mongrel2 was started with, or its own control port")], uuid };
}

async function askUuid(control: string): Promise<string | undefined> {
  try {
    const question = encodeCommand("info", {});
    const reply: ControlReply = decodeControlReply(await new RequestClient(control, PATIENCE).ask(question));
    const uuid = reply.kind === "table" ? reply.rows[0]?.get("uuid") : undefined;
    return typeof uuid === "string" ? uuid : undefined;
  } catch (error) {
    if (error instanceof M2pushError) return undefined;
    throw error;
  }
}

async function absentControl(control: string, clock: Clock): Promise<Finding> {
  const found = await probe(control, { clock, listen: false });
  const what = `the control port does not answer at ${control}`;
  if (found.kind === "denied")
    return fail(`${what}: this user may not connect to it`, "run m2push as the user of Mongrel2");
  const fix = "start Mongrel2, or set control to its control_port (relative to where it was started, or to its chroot)";
  return fail(found.kind === "absent" ? `${what} (${found.code})` : what, fix);
}

/** Whether messages go both ways. `daemon`: what the running daemon says of itself; undefined = none answers. */
export async function checkLink(
  ours: ServerConfig,
  config: Config,
  daemon: Status | undefined,
  clock: Clock,
): Promise<Finding[]> {
  const served = daemon?.servers.find((it) => it.sendSpec === ours.send_spec && it.recvSpec === ours.recv_spec);
  const second = daemon?.conditions.find(({ code, subject }) => code === "second_daemon" && subject === served?.name);
  if (second) return [fail(second.message, second.fix)];
  // Two handlers on one send_spec get its requests in turns: a PULL socket of ours would take every other one from the
  // daemon. It has sent fences of its own, so it is asked.
  if (served?.live) return [alive(served), ...(await checkPrefix(ours, config, clock))];
  if (served) return [await diagnose(ours, clock)];
  if (!ours.bind && isConnected(ours.send_spec)) return [await occupied(ours, clock)];
  try {
    const trip = await roundTrip(ours, clock);
    if (!trip) return [await diagnose(ours, clock)];
    return [passed(trip, ours), ...shared(trip, ours), ...(await checkPrefix(ours, config, clock))];
  } catch (error) {
    if (!(error instanceof M2pushError)) throw error;
    return [
      fail(
        error.message,
        "is another m2push running with these addresses? Set [admin] listen, so that it can be asked",
      ),
    ];
  }
}

function alive({ silent, fenceRoundTripMs: fenceMs }: Status["servers"][number]): Finding {
  if (silent) {
    const what = "the daemon serves it, but Mongrel2 has not answered for seconds";
    return fail(what, "look whether Mongrel2 is stopped or busy, and whether another handler uses the same send_spec");
  }
  const last = fenceMs === null ? "nothing sent yet" : `the last round trip took ${fenceMs.toFixed(2)} ms`;
  return ok(`the running daemon has fenced it and serves it: ${last}`);
}

/** Somebody we cannot ask serves it, or nobody does and it is not our Mongrel2. */
async function occupied(ours: ServerConfig, clock: Clock): Promise<Finding> {
  const found = await probe(ours.recv_spec, { clock, listen: true });
  if (found.kind !== "socket" || found.type !== "SUB") return diagnose(ours, clock);
  const what = `something is connected to ${ours.send_spec} already: a fence of ours would take requests from it, so none was sent`;
  return warn(what, "if it is m2push, set [admin] listen, so that it can be asked; if it is not, stop it");
}

function passed({ milliseconds, ident }: { milliseconds: number; ident: string }, ours: ServerConfig): Finding {
  if (ident === ours.send_ident) {
    return ok(`a fence came back after ${milliseconds.toFixed(1)} ms: messages go both ways`);
  }
  const what = `Mongrel2 signs its messages with send_ident ${quoted(ident)}, here it is ${quoted(ours.send_ident)}`;
  return fail(what, "make the two the same");
}

/** Notices that another process asked for came in meanwhile. */
function shared({ isShared }: { isShared: boolean }, ours: ServerConfig): Finding[] {
  if (!isShared || ours.shared) return [];
  const what = `a daemon reads requests from ${ours.send_spec} already: a second one would get every other of them`;
  return [warn(what, "stop it before this one is started; --shared (both) if they are meant to be beside each other")];
}

/** What Mongrel2's SUB socket really listens for: it may have been started from another configuration. */
async function checkPrefix(ours: ServerConfig, { mongrel2 }: Config, clock: Clock): Promise<Finding[]> {
  if (ours.bind) return [];
  const found = await probe(ours.recv_spec, { clock, listen: true });
  if (found.kind !== "socket" || found.subscription === undefined) return [];
  const finding = checkRecvIdent(ours.send_ident, found.subscription, mongrel2.length);
  return finding.level === "ok" ? [] : [finding];
}
