/** The handler row of Mongrel2's configuration against our [[mongrel2]] table. */
import type { ServerConfig } from "../../config/schema.js";
import type { HandlerRow, Mongrel2Database } from "../../mongrel2/mongrel2-database.js";
import { isSameEndpoint } from "../../mongrel2/socket-spec.js";
import { type Finding, fail, ok, quoted, warn } from "./finding.js";

export interface FoundHandler {
  /** The row that is, or was meant to be, ours. */
  readonly row: HandlerRow | undefined;
  readonly findings: readonly Finding[];
}

/** Looks for our row: by both specs; by both exchanged, the classic error; by one of them; by the ident. */
export function findHandler(
  ours: ServerConfig,
  { handlers }: Mongrel2Database,
  folders: readonly string[],
): FoundHandler {
  if (ours.bind) return behindProxy(ours, handlers);
  const same = (spec: string, theirs: string) => isSameEndpoint(spec, theirs, folders);
  const sends = handlers.filter(({ sendSpec }) => same(ours.send_spec, sendSpec));
  const [row, ...more] = sends.filter(({ recvSpec }) => same(ours.recv_spec, recvSpec));
  if (row)
    return { row, findings: [ok(`send_spec and recv_spec are those of handler ${row.id}`), ...merged(row, more)] };
  const swapped = handlers.find(
    ({ sendSpec, recvSpec }) => same(ours.send_spec, recvSpec) && same(ours.recv_spec, sendSpec),
  );
  if (swapped) {
    const what =
      "send_spec and recv_spec are swapped: each is the other one of the Handler in Mongrel2's configuration";
    return {
      row: swapped,
      findings: [fail(what, "exchange the two in [[mongrel2]] (both names are seen from Mongrel2)")],
    };
  }
  return oneSpec(ours, handlers, sends[0], same);
}

/** Mongrel2 has one socket pair for each pair of specs. */
function merged(row: HandlerRow, more: readonly HandlerRow[]): Finding[] {
  if (!more.some(({ sendIdent, recvIdent }) => sendIdent !== row.sendIdent || recvIdent !== row.recvIdent)) return [];
  const what = `${more.length + 1} Handlers have these two specs and different idents: Mongrel2 merges them, the first one's count`;
  return [warn(what, "name the Handler once and use it in several routes")];
}

function oneSpec(
  ours: ServerConfig,
  handlers: readonly HandlerRow[],
  sends: HandlerRow | undefined,
  same: (spec: string, theirs: string) => boolean,
): FoundHandler {
  if (sends) {
    const what = `recv_spec is ${ours.recv_spec}, but the Handler with our send_spec has ${quoted(sends.recvSpec)}`;
    return { row: sends, findings: [fail(what, `set recv_spec to what Mongrel2 has`)] };
  }
  const receives = handlers.find(({ recvSpec }) => same(ours.recv_spec, recvSpec));
  if (receives) {
    const what = `send_spec is ${ours.send_spec}, but the Handler with our recv_spec has ${quoted(receives.sendSpec)}`;
    return { row: receives, findings: [fail(what, `set send_spec to what Mongrel2 has`)] };
  }
  const named = handlers.find(({ sendIdent }) => sendIdent === ours.send_ident);
  const theirs = (named ? [named] : handlers).map(({ sendSpec, recvSpec }) => `${sendSpec} and ${recvSpec}`);
  const has =
    theirs.length > 0 ? `${named ? "the one with our send_ident" : "it"} has ${theirs.join(", ")}` : "it has none";
  const what = `no Handler has send_spec ${ours.send_spec} and recv_spec ${ours.recv_spec}: ${has}`;
  return { row: named, findings: [fail(what, "make the two specs in [[mongrel2]] those of the Handler")] };
}

/** Mongrel2 and we both connect to a proxy, so the addresses have nothing to do with each other. */
function behindProxy({ send_ident: ident }: ServerConfig, handlers: readonly HandlerRow[]): FoundHandler {
  const row = handlers.find(({ sendIdent }) => sendIdent === ident);
  if (row)
    return { row, findings: [ok(`handler ${row.id} has our send_ident (bind = true: its specs are a proxy's)`)] };
  return { row, findings: [fail(`no Handler has send_ident ${quoted(ident)}`, "make the two the same")] };
}

/** What stands before each message, in both directions. `servers`: how many Mongrel2s the daemon serves. */
export function checkIdents(ours: ServerConfig, row: HandlerRow, servers: number): Finding[] {
  return [
    checkSendIdent(ours.send_ident, row.sendIdent),
    checkRecvIdent(ours.send_ident, row.recvIdent, servers),
    checkProtocol(row),
  ];
}

function checkSendIdent(ours: string, theirs: string): Finding {
  if (!/^[A-Za-z0-9-]+$/.test(theirs)) {
    const what = `the Handler's send_ident ${quoted(theirs)} has other characters than letters, digits and "-": Mongrel2 can parse no reply`;
    return fail(what, "give it another one, such as a UUID, there and in [[mongrel2]]");
  }
  if (theirs === ours) return ok("send_ident is the same on both sides");
  return fail(`send_ident is ${quoted(ours)} here and ${quoted(theirs)} in Mongrel2`, "make the two the same");
}

/** Mongrel2's SUB socket takes what begins with recv_ident; ours begins with send_ident and a space. */
export function checkRecvIdent(ours: string, theirs: string, servers: number): Finding {
  const prefix = `${ours} `;
  const fix = `set recv_ident=${quoted(prefix)} (send_ident and one space) in the Handler`;
  if (theirs === prefix) return ok("recv_ident is send_ident and a space");
  if (theirs === "" && servers > 1) {
    return fail(
      `recv_ident is empty, and ${servers} servers share this daemon: replies meant for another reach it, too`,
      fix,
    );
  }
  if (prefix.startsWith(theirs)) return warn(`recv_ident ${quoted(theirs)} also takes replies of other idents`, fix);
  return fail(
    `recv_ident ${quoted(theirs)} is no prefix of our replies (${quoted(prefix)}): Mongrel2 takes none of them`,
    fix,
  );
}

/** Mongrel2 takes any word, and means json by all but one. */
function checkProtocol({ protocol }: HandlerRow): Finding {
  if (protocol === "tnetstring" || protocol === "json" || protocol === "")
    return ok(`protocol is ${protocol || "json"}`);
  return warn(
    `protocol ${quoted(protocol)} is unknown: Mongrel2 takes it for json without a word`,
    "set protocol='tnetstring'",
  );
}
