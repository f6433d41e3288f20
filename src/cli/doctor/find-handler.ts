/** The Handler of Mongrel2's configuration that a [[mongrel2]] table describes. */
import type { ServerConfig } from "../../config/schema.js";
import type { HandlerRow, Mongrel2Database } from "../../mongrel2/mongrel2-database.js";
import { isSameEndpoint } from "../../mongrel2/socket-spec.js";
import { databaseFindings } from "./database-findings.js";
import type { Finding } from "./finding.js";

export interface FoundHandler {
  /** The Handler that matches, or the one that was most likely meant. */
  readonly row: HandlerRow | undefined;
  readonly findings: readonly Finding[];
}

/** Searches by both specs; by both specs exchanged, the most common error; by one of them; by the ident. */
export function findHandler(
  ours: ServerConfig,
  { handlers }: Mongrel2Database,
  folders: readonly string[],
): FoundHandler {
  if (ours.bind) return behindProxy(ours, handlers);
  const same = (spec: string, theirs: string) => isSameEndpoint(spec, theirs, folders);
  const sends = handlers.filter(({ sendSpec }) => same(ours.send_spec, sendSpec));
  const [row, ...others] = sends.filter(({ recvSpec }) => same(ours.recv_spec, recvSpec));
  if (row) return { row, findings: [databaseFindings.handlerFound(row.id), ...merged(row, others)] };
  const swapped = handlers.find(
    ({ sendSpec, recvSpec }) => same(ours.send_spec, recvSpec) && same(ours.recv_spec, sendSpec),
  );
  if (swapped) return { row: swapped, findings: [databaseFindings.specsSwapped()] };
  return oneSpec(ours, handlers, sends[0], same);
}

/** Mongrel2 opens one pair of sockets for each pair of specs. */
function merged(row: HandlerRow, others: readonly HandlerRow[]): Finding[] {
  if (!others.some(({ sendIdent, recvIdent }) => sendIdent !== row.sendIdent || recvIdent !== row.recvIdent)) return [];
  return [databaseFindings.handlersMerged(others.length + 1)];
}

function oneSpec(
  ours: ServerConfig,
  handlers: readonly HandlerRow[],
  sends: HandlerRow | undefined,
  same: (spec: string, theirs: string) => boolean,
): FoundHandler {
  if (sends)
    return { row: sends, findings: [databaseFindings.specDiffers("recv_spec", ours.recv_spec, sends.recvSpec)] };
  const receives = handlers.find(({ recvSpec }) => same(ours.recv_spec, recvSpec));
  if (receives)
    return { row: receives, findings: [databaseFindings.specDiffers("send_spec", ours.send_spec, receives.sendSpec)] };
  const named = handlers.find(({ sendIdent }) => sendIdent === ours.send_ident);
  const existing = existingSpecs(named ? [named] : handlers, named !== undefined);
  return { row: named, findings: [databaseFindings.handlerMissing(ours.send_spec, ours.recv_spec, existing)] };
}

function existingSpecs(handlers: readonly HandlerRow[], byIdent: boolean): string {
  const specs = handlers.map(({ sendSpec, recvSpec }) => `${sendSpec} and ${recvSpec}`).join(", ");
  if (specs === "") return "Mongrel2's configuration has no Handler";
  return byIdent ? `the one with this send_ident has ${specs}` : `Mongrel2's configuration has ${specs}`;
}

/** Mongrel2 and the daemon both connect to a proxy, so their addresses cannot be compared. */
function behindProxy({ send_ident: ident }: ServerConfig, handlers: readonly HandlerRow[]): FoundHandler {
  const row = handlers.find(({ sendIdent }) => sendIdent === ident);
  const finding = row ? databaseFindings.handlerBehindProxy(row.id) : databaseFindings.identMissing(ident);
  return { row, findings: [finding] };
}
