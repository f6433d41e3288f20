/** Whether Mongrel2's control port answers, and whether it is that of the right server. */
import type { ServerConfig } from "../../config/schema.js";
import { M2pushError } from "../../errors.js";
import { decodeControlReply, encodeCommand } from "../../protocol/control-protocol.js";
import type { Clock } from "../../util/clock.js";
import { requestOnce } from "../../zmq/request-session.js";
import type { Finding } from "./finding.js";
import { liveFindings } from "./live-findings.js";
import { probe } from "./probe.js";

/** Mongrel2 answers in milliseconds; a machine under load may need a second. */
const CONTROL_TIMEOUT_MS = 3000;

export interface ControlCheck {
  readonly findings: readonly Finding[];
  /** The uuid of the server that answered. */
  readonly uuid: string | undefined;
}

/** Asks the control port for its server. `known`: uuids of the servers in the database; undefined: no database was read. */
export async function checkControl(
  { control, name, bind }: ServerConfig,
  known: readonly string[] | undefined,
  clock: Clock,
): Promise<ControlCheck> {
  if (control === undefined) return { findings: [liveFindings.controlMissing(name, bind)], uuid: undefined };
  // A connection that is refused at once needs no wait for an answer.
  const found = await probe(control, { clock, listen: false });
  if (found.kind === "denied") return { findings: [liveFindings.controlDenied(control)], uuid: undefined };
  if (found.kind === "absent") return { findings: [liveFindings.controlSilent(control, found.code)], uuid: undefined };
  const uuid = await askUuid(control, clock);
  if (uuid === undefined) return { findings: [liveFindings.controlSilent(control, undefined)], uuid };
  const isKnown = !known || known.includes(uuid);
  return { findings: [isKnown ? liveFindings.controlGood(uuid) : liveFindings.controlOfAnother(control, uuid)], uuid };
}

async function askUuid(control: string, clock: Clock): Promise<string | undefined> {
  try {
    const answer = await requestOnce(control, encodeCommand("info", {}), CONTROL_TIMEOUT_MS, clock);
    const reply = decodeControlReply(answer);
    const uuid = reply.kind === "table" ? reply.rows[0]?.get("uuid") : undefined;
    return typeof uuid === "string" ? uuid : undefined;
  } catch (error) {
    if (error instanceof M2pushError) return undefined;
    throw error;
  }
}
