/** The frames of one body for compressed audiences. */
import { type Audience, addressesOf } from "./audience.js";
import { CompressedAudience } from "./compressed-audience.js";
import type { Compression, PlainBody } from "./compression.js";
import type { Address, Outlet } from "./outlet.js";

/** A body as it is sent, and to whom. */
export interface WireBody {
  readonly addresses: readonly Address[];
  readonly wire: Buffer;
  /** Connections. */
  readonly clients: number;
}

/**
 * Encodes a body for all members of some audiences, and debits them. Must be followed by sending: the riders' windows have the body. Audiences
 * without riders share what is sent to all of them.
 */
export function encodeFor(
  audiences: readonly Audience[],
  body: PlainBody,
  compression: Compression,
  outlet: Outlet,
): WireBody[] {
  const bodies: WireBody[] = [];
  const waiting: Address[] = [];
  const whole: Audience[] = [];
  let clients = 0;
  const withWaiters: CompressedAudience[] = [];
  for (const audience of audiences) {
    if (!(audience instanceof CompressedAudience)) throw new TypeError("the audience is not compressed");
    const wire = audience.ride(body);
    if (!wire) {
      whole.push(audience);
      clients += audience.size;
      continue;
    }
    bodies.push({ addresses: audience.riderAddresses(), wire, clients: audience.riders });
    if (audience.riders === audience.size) continue;
    withWaiters.push(audience);
    waiting.push(...audience.waiterAddresses());
    clients += audience.size - audience.riders;
  }
  if (clients === 0) return bodies;
  const { wire, encoding } = compression.alone(body);
  compression.count(encoding, clients, body.bytes, wire.length);
  for (const audience of whole) audience.debit(wire.length);
  for (const audience of withWaiters) audience.debitWaiters(wire.length);
  bodies.push({ addresses: [...addressesOf(whole, outlet), ...waiting], wire, clients });
  return bodies;
}
