/** How many connections publishers and operators may have: together fewer than the process has descriptors. */
import type { Config } from "../config/schema.js";
import type { Clock } from "../util/clock.js";
import type { Conditions } from "../util/conditions.js";
import { ConnectionCap, descriptorLimit, descriptorShares } from "../util/descriptors.js";

export interface ConnectionCaps {
  readonly publishers: ConnectionCap;
  readonly admin: ConnectionCap;
  close(): void;
}

const FIX = "disconnect programs that hold idle connections, or raise LimitNOFILE (ulimit -n)";

export function connectionCaps(config: Config, clock: Clock, conditions: Conditions): ConnectionCaps {
  const shares = descriptorShares(descriptorLimit(), config.mongrel2.length);
  const common = { clock, conditions, fix: FIX };
  const publishers = new ConnectionCap(shares.publishers, {
    ...common,
    subject: "publish.zmq",
    message: `publishers use all ${shares.publishers} connections of their limit: the daemon refuses further ones`,
  });
  const admin = new ConnectionCap(shares.admin, {
    ...common,
    subject: "admin",
    message: `clients of the admin address use all ${shares.admin} connections of their limit: the daemon closes idle ones`,
  });
  return {
    publishers,
    admin,
    close() {
      publishers.close();
      admin.close();
    },
  };
}
