/** Callers that wait until the client record is on disk. */
import { M2pushError, messageOf } from "../../errors.js";

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: M2pushError) => void;
}

export class PendingWrites {
  #waiting: Waiting[] = [];

  /** Resolves at the next succeeded(), rejects at the next failed(). */
  wait(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  succeeded(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** `cause`: of the failed write; absent = it is not tried again yet. */
  failed(cause?: unknown): void {
    if (this.#waiting.length === 0) return;
    const reason = cause === undefined ? "the last write failed" : messageOf(cause);
    const error = new M2pushError("storage_failed", `the client record cannot be written: ${reason}`, { cause });
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
