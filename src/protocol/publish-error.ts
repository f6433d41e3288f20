/** What a publisher is told of an error, whichever way its request came. */
import { M2pushError } from "../errors.js";

/** Of errors that are not the publisher's: the log has the cause. */
const TEXTS: Readonly<Record<string, string>> = {
  storage_failed: "the event could not be stored and reached no client; fix: repeat it",
  unavailable: "whether the event was stored is unknown; fix: repeat it",
};
const INTERNAL = "an internal error; fix: check the log of the daemon";
/** Codes that never leave the daemon. */
const INTERNAL_CODES: ReadonlySet<string> = new Set(["internal", "config_invalid", "link_failed", "storage_unusable"]);

/** Code and text of an error. A defect is not described to publishers. */
export function publishError(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof M2pushError) || INTERNAL_CODES.has(error.code)) return { code: "internal", message: INTERNAL };
  return { code: error.code, message: TEXTS[error.code] ?? error.message };
}
