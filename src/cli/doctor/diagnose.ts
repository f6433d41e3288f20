/**
 * Why no fence returns: the one fault that explains it, found by probing both addresses. A probe of send_spec could take a request
 * that waits for a handler; but no handler serves that address, or this check would not run.
 */
import type { ServerConfig } from "../../config/schema.js";
import { ipcPathOf } from "../../mongrel2/socket-spec.js";
import type { Clock } from "../../util/clock.js";
import { checkRecvIdent } from "./check-idents.js";
import type { Finding } from "./finding.js";
import { liveFindings } from "./live-findings.js";
import { type Probe, probe } from "./probe.js";

interface Side {
  readonly name: "send_spec" | "recv_spec";
  readonly spec: string;
  /** The type of Mongrel2's socket. */
  readonly wanted: "PUSH" | "SUB";
  readonly found: Probe;
}

export async function diagnose(ours: ServerConfig, clock: Clock): Promise<Finding> {
  if (ours.curve_server_secret_key !== "") return liveFindings.noFenceThroughCurve();
  if (ours.bind) return liveFindings.noFenceThroughProxy();
  const send = await probe(ours.send_spec, { clock, listen: false });
  const recv = await probe(ours.recv_spec, { clock, listen: true });
  const sides: readonly [Side, Side] = [
    { name: "send_spec", spec: ours.send_spec, wanted: "PUSH", found: send },
    { name: "recv_spec", spec: ours.recv_spec, wanted: "SUB", found: recv },
  ];
  return (
    specsSwapped(sides) ?? bothAbsent(sides) ?? wrongSocket(sides[0]) ?? wrongSocket(sides[1]) ?? noFence(ours, recv)
  );
}

const typeOf = (found: Probe): string | undefined => (found.kind === "socket" ? found.type : undefined);

function specsSwapped([send, recv]: readonly [Side, Side]): Finding | undefined {
  if (typeOf(send.found) !== recv.wanted || typeOf(recv.found) !== send.wanted) return undefined;
  return liveFindings.specsSwapped(send.spec, recv.spec);
}

function bothAbsent([send, recv]: readonly [Side, Side]): Finding | undefined {
  if (send.found.kind !== "absent" || recv.found.kind !== "absent") return undefined;
  return liveFindings.nothingListens(send.spec, recv.spec, recv.found.code);
}

/** An address that does not lead to the right socket. */
function wrongSocket({ name, spec, wanted, found }: Side): Finding | undefined {
  switch (found.kind) {
    case "absent":
      return liveFindings.oneAbsent(name, spec, found.code);
    case "denied":
      return liveFindings.denied(name, spec, ipcPathOf(spec));
    case "mute":
      return liveFindings.mute(name, spec);
    case "foreign":
      return liveFindings.foreign(name, spec);
    case "socket":
      return found.type === wanted ? undefined : liveFindings.wrongType(name, spec, found.type, wanted);
  }
}

/** Both sockets are the right ones: Mongrel2 does not accept the daemon's messages, or another handler receives its answers. */
function noFence(ours: ServerConfig, recv: Probe): Finding {
  const prefix = recv.kind === "socket" ? recv.subscription : undefined;
  const finding = prefix === undefined ? undefined : checkRecvIdent(ours.send_ident, prefix, 1);
  if (prefix === undefined || finding?.level !== "FAIL") return liveFindings.noFence();
  const ident = prefix.endsWith(" ") ? prefix.slice(0, -1) : undefined;
  if (ident === undefined || !/^[A-Za-z0-9-]+$/.test(ident)) return finding;
  return liveFindings.prefixDiffers(prefix, `${ours.send_ident} `, ident);
}
