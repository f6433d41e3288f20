/** The identifiers at the head of each message, in both directions, and the protocol of requests. */
import type { ServerConfig } from "../../config/schema.js";
import type { HandlerRow } from "../../mongrel2/mongrel2-database.js";
import { databaseFindings } from "./database-findings.js";
import type { Finding } from "./finding.js";

/** `servers`: the number of Mongrel2 servers that the daemon serves. */
export function checkIdents(ours: ServerConfig, row: HandlerRow, servers: number): Finding[] {
  return [
    checkSendIdent(ours.send_ident, row.sendIdent),
    checkRecvIdent(ours.send_ident, row.recvIdent, servers),
    checkProtocol(row),
  ];
}

function checkSendIdent(ours: string, theirs: string): Finding {
  if (!/^[A-Za-z0-9-]+$/.test(theirs)) return databaseFindings.sendIdentInvalid(theirs);
  return theirs === ours ? databaseFindings.sendIdentEqual() : databaseFindings.sendIdentDiffers(ours, theirs);
}

/** Mongrel2's SUB socket receives messages that begin with recv_ident; the daemon's begin with send_ident and a space. */
export function checkRecvIdent(ours: string, theirs: string, servers: number): Finding {
  const prefix = `${ours} `;
  if (theirs === prefix) return databaseFindings.recvIdentGood();
  if (theirs === "" && servers > 1) return databaseFindings.recvIdentEmpty(servers, prefix);
  if (prefix.startsWith(theirs)) return databaseFindings.recvIdentTooShort(theirs, prefix);
  return databaseFindings.recvIdentWrong(theirs, prefix);
}

/** Mongrel2 accepts any word, and treats all but "tnetstring" as json. */
function checkProtocol({ protocol }: HandlerRow): Finding {
  const isKnown = protocol === "tnetstring" || protocol === "json" || protocol === "";
  return isKnown ? databaseFindings.protocolGood(protocol || "json") : databaseFindings.protocolUnknown(protocol);
}
