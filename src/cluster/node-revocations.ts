/** Revoked tokens among the nodes of a cluster, in the messages of nodes.ts: each new one, and all with a node's full state. */
import { MAX_REVOCATION_COUNT, type Revocation, type Revocations } from "../hub/revocations.js";
import { chunks } from "./node-message.js";

type SharedRevocations = Pick<Revocations, "all" | "received">;

export class NodeRevocations {
  readonly #send: (revoked: readonly Revocation[]) => void;
  #shared: SharedRevocations | undefined;
  /** Received before share(). */
  readonly #early: Revocation[] = [];

  /** `send` broadcasts one message. */
  constructor(send: (revoked: readonly Revocation[]) => void) {
    this.#send = send;
  }

  /** Tells the other nodes which tokens are revoked, and takes theirs, those that came before included. */
  share(revocations: SharedRevocations): void {
    this.#shared = revocations;
    revocations.received(this.#early.splice(0));
    this.sendAll();
  }

  /** Tells the other nodes of new ones. */
  revoke(revoked: readonly Revocation[]): void {
    this.#send(revoked);
  }

  sendAll(): void {
    for (const revoked of chunks(this.#shared?.all() ?? [])) this.#send(revoked);
  }

  receive(revoked: readonly Revocation[] = []): void {
    if (this.#shared) this.#shared.received(revoked);
    else if (this.#early.length < MAX_REVOCATION_COUNT) this.#early.push(...revoked);
  }
}
