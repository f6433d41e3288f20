/** Opens the record of revoked tokens, and connects it to the hub and to the other nodes. */
import { messageOf } from "../errors.js";
import { type Revocation, Revocations } from "../hub/revocations.js";
import { openRevocationFile, type RevocationFile } from "../storage/revocation-file.js";
import type { DaemonContext } from "./daemon-context.js";

/** The hub is started afterwards. */
export function openRevocations(context: DaemonContext): Revocations {
  const { clock, log } = context.options;
  const nodes = context.eventLog?.nodes;
  const warn = (warning: string) => log.warn({ event: "revocations" }, warning);
  const { recorded, append } = openFile(context, warn);
  const revocations = new Revocations({
    ...{ clock, recorded, warn },
    record: append,
    servers: () => context.hub?.servers ?? [],
    end: (server, id) => context.hub?.end(server, id, "revoked"),
    tell: (list: readonly Revocation[]) => nodes?.revocations.revoke(list),
  });
  nodes?.revocations.share(revocations);
  return revocations;
}

/** Without a readable file the daemon starts nevertheless: the tokens of a lost record are valid again, which the log says. */
function openFile({ initial, options }: DaemonContext, warn: (warning: string) => void): RevocationFile {
  const { path } = initial.history;
  try {
    return openRevocationFile(path, options.clock.now());
  } catch (error) {
    warn(
      `the revoked tokens cannot be read from ${path} (${messageOf(error)}): they are valid again; fix: make it readable and restart, or revoke them again`,
    );
    const append = () => {
      throw error;
    };
    return { recorded: [], append };
  }
}
