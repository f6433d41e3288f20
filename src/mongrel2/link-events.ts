import type { ProtocolError } from "../errors.js";
import type { Inbound, RequestError } from "../protocol/request.js";

/** What an endpoint tells. `inbound` comes only while live; all of an epoch lies between its live() and its lost(). */
export interface LinkEvents {
  /** After this many milliseconds of waiting for it. `doubtful`: connections whose requests came in while it was lost. */
  live(milliseconds: number, untrusted: readonly number[]): void;
  lost(why: string): void;
  inbound(message: Inbound): void;
  /** A message that could not be understood; `error.id` is set when its connection is known and can be answered. */
  malformed(error: RequestError | ProtocolError): void;
  /** Mongrel2 has not answered for some seconds; `live` tells whether it ever did in this epoch. */
  silent(milliseconds: number, live: boolean): void;
  /** It answers again. */
  answering(): void;
  /** Messages come in that carry another ident than the one configured. */
  wrongIdent(ident: string): void;
  fencePassed(milliseconds: number): void;
  /** While live a notice came in that another process asked for; `isYounger`: it began after us. */
  foreignFence(isYounger: boolean): void;
  /** Messages came in that may be of a Mongrel2 that is gone: they are not handed on. */
  fromEarlierInstance(messages: number): void;
}
