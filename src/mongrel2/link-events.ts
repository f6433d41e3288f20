import type { ProtocolError } from "../errors.js";
import type { Inbound, RequestError } from "../protocol/request.js";

/**
 * Events of a Mongrel2Link. `inbound` is called only while the link is live; each generation lies between its live() and its lost().
 */
export interface LinkEvents {
  /** Mongrel2 answers; the time that it took, ms. `untrusted`: connections whose requests arrived while the link was lost. */
  live(milliseconds: number, untrusted: readonly number[]): void;
  lost(reason: string): void;
  inbound(message: Inbound): void;
  /** A message could not be parsed; `error.id` is set if its connection is known and can be answered. */
  malformed(error: RequestError | ProtocolError): void;
  /** Mongrel2 has not answered for so long; `hasAnswered`: it did before in this generation. */
  silent(milliseconds: number, hasAnswered: boolean): void;
  /** Mongrel2 answers again. */
  answering(): void;
  /** Messages carry another ident than the configured one. Called once for each ident. */
  wrongIdent(ident: string): void;
  /** A fence behind events has passed; its round trip. */
  fencePassed(milliseconds: number): void;
  /** While live, a notice of another process's fence arrived; `isYounger`: that process started after this one. */
  foreignFence(isYounger: boolean): void;
  /** Number of messages that may come from an earlier Mongrel2 process: they are dropped. */
  fromEarlierInstance(messages: number): void;
}
