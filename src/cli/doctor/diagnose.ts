/**
 * Why no fence comes back: the one fault that explains it, found by asking each address who is there. Looking at send_spec
 * could take a request that is waiting for a handler; there is none that serves it, or we would not be here.
 */
import type { ServerConfig } from "../../config/schema.js";
import { pathOf } from "../../mongrel2/socket-spec.js";
import type { Clock } from "../../util/clock.js";
import { checkRecvIdent } from "./find-handler.js";
import { type Finding, fail, quoted } from "./finding.js";
import { type Probe, probe } from "./probe.js";

interface Side {
  readonly name: "send_spec" | "recv_spec";
  readonly spec: string;
  /** What Mongrel2 has there. */
  readonly wanted: "PUSH" | "SUB";
  readonly found: Probe;
}

export async function diagnose(ours: ServerConfig, clock: Clock): Promise<Finding> {
  if (ours.bind) {
    return fail(
      "no fence came back",
      "look whether the proxy and Mongrel2 run, which side of it is which, and recv_ident",
    );
  }
  const send = await probe(ours.send_spec, { clock, listen: false });
  const recv = await probe(ours.recv_spec, { clock, listen: true });
  const sides: readonly [Side, Side] = [
    { name: "send_spec", spec: ours.send_spec, wanted: "PUSH", found: send },
    { name: "recv_spec", spec: ours.recv_spec, wanted: "SUB", found: recv },
  ];
  return swapped(sides) ?? nobody(sides) ?? wrong(sides[0]) ?? wrong(sides[1]) ?? deaf(ours, recv);
}

const typeOf = (found: Probe): string | undefined => (found.kind === "socket" ? found.type : undefined);

function swapped([send, recv]: readonly [Side, Side]): Finding | undefined {
  if (typeOf(send.found) !== recv.wanted || typeOf(recv.found) !== send.wanted) return undefined;
  const what = `send_spec and recv_spec are swapped: Mongrel2's SUB socket is at ${send.spec}, its PUSH socket at ${recv.spec}`;
  return fail(what, "exchange the two in [[mongrel2]] (both names are seen from Mongrel2)");
}

function nobody([send, recv]: readonly [Side, Side]): Finding | undefined {
  if (send.found.kind !== "absent" || recv.found.kind !== "absent") return undefined;
  const what = `nothing listens at send_spec ${send.spec} nor at recv_spec ${recv.spec} (${recv.found.code})`;
  return fail(what, "start Mongrel2; if it runs, make both specs those of its Handler");
}

/** One address that does not lead to the socket it should. */
function wrong({ name, spec, wanted, found }: Side): Finding | undefined {
  const fix = `make ${name} the one of Mongrel2's Handler`;
  switch (found.kind) {
    case "absent":
      return fail(`nothing listens at ${name} ${spec} (${found.code}), though something does at the other`, fix);
    case "denied":
      return fail(
        `this user may not connect to ${name} ${spec}: the socket file ${pathOf(spec)} is another user's`,
        SAME_USER,
      );
    case "mute":
      return fail(
        `${name} ${spec} takes connections and says nothing`,
        "look whether Mongrel2 is stopped (SIGSTOP) or stuck",
      );
    case "foreign":
      return fail(`what listens at ${name} ${spec} does not speak ZeroMQ`, fix);
    case "socket":
      if (found.type === wanted) return undefined;
      return fail(`at ${name} ${spec} is a ${found.type} socket, Mongrel2's is a ${wanted}`, fix);
  }
}

const SAME_USER = "run m2push as the user of Mongrel2, or use tcp (Mongrel2 makes its sockets for its own user only)";

/** Both sockets are the right ones. */
function deaf(ours: ServerConfig, recv: Probe): Finding {
  const prefix = recv.kind === "socket" ? recv.subscription : undefined;
  const theirs = prefix === undefined ? undefined : checkRecvIdent(ours.send_ident, prefix, 1);
  if (prefix === undefined || theirs?.level !== "FAIL") {
    const what =
      "Mongrel2's sockets are there, but no fence came back: another handler may get its messages in our place";
    return fail(what, "let one program only connect to this send_spec");
  }
  const ident = prefix.endsWith(" ") ? prefix.slice(0, -1) : undefined;
  if (ident === undefined || !/^[A-Za-z0-9-]+$/.test(ident)) return theirs;
  const what = `Mongrel2 takes replies that begin with ${quoted(prefix)}, ours begin with ${quoted(`${ours.send_ident} `)}`;
  return fail(what, `if ${ident} is the Handler's send_ident, set it in [[mongrel2]]; if not, correct its recv_ident`);
}
