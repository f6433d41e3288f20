/** What an attempt to bind or connect a socket comes to. */
import { M2pushError } from "../errors.js";

/** Rejects with "link.failed" that names the address and what to look at. */
export async function attached<T>(attempt: Promise<T>, spec: string, bind: boolean): Promise<T> {
  try {
    return await attempt;
  } catch (cause) {
    const verb = bind ? "bind" : "connect";
    const why = cause instanceof Error ? cause.message : String(cause);
    const mend = bind && /in use/i.test(why) ? ": another program, or another m2push, has this address" : "";
    throw new M2pushError("link.failed", `cannot ${verb} ${spec}: ${why}${mend}`, { cause });
  }
}
