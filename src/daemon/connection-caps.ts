/** How many connections publishers and operators may have: together fewer than the process has descriptors. */
import type { Config } from "../config/schema.js";
import type { Clock } from "../util/clock.js";
import { conditionTexts } from "../util/condition-texts.js";
import type { Conditions } from "../util/conditions.js";
import { ConnectionCap, descriptorLimit, descriptorShares } from "../util/descriptors.js";

export interface ConnectionCaps {
  readonly publishers: ConnectionCap;
  readonly admin: ConnectionCap;
  close(): void;
}

export function connectionCaps(config: Config, clock: Clock, conditions: Conditions): ConnectionCaps {
  const shares = descriptorShares(descriptorLimit(), config.mongrel2.length);
  const common = { clock, conditions };
  const publishers = new ConnectionCap(shares.publishers, {
    ...common,
    subject: "publish.zmq",
    ...conditionTexts.publishersAtLimit(shares.publishers),
  });
  const admin = new ConnectionCap(shares.admin, {
    ...common,
    subject: "admin",
    ...conditionTexts.adminAtLimit(shares.admin),
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
