/** Sends responses through the outlet of a server, the only module of this folder that does. */
import type { ServerDelivery } from "../delivery/server-delivery.js";

/**
 * A long response is sent in pieces, each when Mongrel2 has taken the previous one: in one piece it would delay the events of other clients
 * while Mongrel2 reads it (13 MB: 0.2 s). The number of pieces is below the number of messages that end a connection whose client does
 * not read (mongrel2.md 2.1).
 */
const PIECE_BYTES = 65_536;
const MAX_PIECE_COUNT = 12;

export interface SendOptions {
  /** The connection stays open for another request. */
  readonly persists: boolean;
  /** Whether the connection is gone: the rest of a long response is not sent. */
  readonly isGone: () => boolean;
}

/** Returns, or resolves with, whether the connection can take another response. */
export function sendResponse(
  server: ServerDelivery,
  id: number,
  bytes: Buffer,
  { persists, isGone }: SendOptions,
): boolean | Promise<boolean> {
  if (bytes.length > PIECE_BYTES) return sendInPieces(server, id, bytes, { persists, isGone });
  server.outlet.deliver(server.outlet.address([id]), bytes);
  complete(server, id, persists);
  return persists;
}

/** Body and close are two messages: Mongrel2 closes on an empty one, after everything that is queued. */
function complete(server: ServerDelivery, id: number, persists: boolean): void {
  if (!persists) server.outlet.close([id]);
  server.requests.answered(id, persists);
}

async function sendInPieces(
  server: ServerDelivery,
  id: number,
  bytes: Buffer,
  { persists, isGone }: SendOptions,
): Promise<boolean> {
  const size = Math.max(PIECE_BYTES, Math.ceil(bytes.length / MAX_PIECE_COUNT));
  for (let from = 0; from < bytes.length; from += size) {
    if (from > 0) await new Promise<void>((passed) => server.outlet.fence(passed));
    if (isGone()) return false;
    server.outlet.deliver(server.outlet.address([id]), bytes.subarray(from, from + size));
  }
  complete(server, id, persists);
  return persists;
}
