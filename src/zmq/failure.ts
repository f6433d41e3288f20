import { M2pushError } from "../errors.js";

/** A socket that could not be bound or connected: "link.failed", which names the address and what to look at. */
export function linkFailed(spec: string, bind: boolean, cause: unknown): M2pushError {
  const verb = bind ? "bind" : "connect";
  const why = cause instanceof Error ? cause.message : String(cause);
  const mend = bind && /in use/i.test(why) ? ": another program, or another m2push, has this address" : "";
  return new M2pushError("link.failed", `cannot ${verb} ${spec}: ${why}${mend}`, { cause });
}
