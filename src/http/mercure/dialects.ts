/** The dialect of a request. A request that shows none is taken for 0.x, which most deployed clients speak. */

import type { Selector } from "../../matching/selector.js";
import type { Principal } from "../access.js";
import type { Grants } from "../auth/grants.js";
import type { Form } from "../form.js";
import type { MercureDialect } from "./dialect.js";
import { v0 } from "./v0.js";
import { v8 } from "./v8.js";

/** Whether it is served or not: a stream may outlive a change of [hub] protocol. */
export const dialectNamed = (name: MercureDialect["name"]): MercureDialect => (name === v8.name ? v8 : v0);

export class Dialects {
  readonly #served: readonly [MercureDialect, ...MercureDialect[]];

  /** `protocol`: [hub] protocol. */
  constructor(protocol: "both" | "0.x" | "draft-08") {
    this.#served = protocol === "both" ? [v0, v8] : protocol === "0.x" ? [v0] : [v8];
  }

  serves(name: MercureDialect["name"]): boolean {
    return this.#served.some((dialect) => dialect.name === name);
  }

  /** By the parameters: `match...` is draft-08. */
  ofQuery(form: Form): MercureDialect {
    return this.#get(form.some(([name]) => /^match/i.test(name)) ? v8 : v0);
  }

  /** By the token. */
  ofPrincipal(principal: Principal | Grants<Selector>): MercureDialect {
    return this.#get(principal !== "anonymous" && principal.dialect === "draft-08" ? v8 : v0);
  }

  #get(wanted: MercureDialect): MercureDialect {
    return this.serves(wanted.name) ? wanted : this.#served[0];
  }
}
