/** Which dialect a request speaks. Where nothing tells, it is 0.x: that is what deployed clients speak. */
import type { Grants } from "../../auth/grants.js";
import type { Selector } from "../../hub/selector.js";
import type { Asker } from "../access.js";
import type { Form } from "../form.js";
import type { Dialect } from "./dialect.js";
import { v0 } from "./v0.js";
import { v8 } from "./v8.js";

export class Dialects {
  readonly #served: readonly [Dialect, ...Dialect[]];

  /** `protocol`: [hub] protocol. */
  constructor(protocol: "both" | "0.x" | "draft-08") {
    this.#served = protocol === "both" ? [v0, v8] : protocol === "0.x" ? [v0] : [v8];
  }

  serves(name: Dialect["name"]): boolean {
    return this.#served.some((dialect) => dialect.name === name);
  }

  /** By its parameters: `match...` is draft-08. */
  ofQuery(form: Form): Dialect {
    return this.#get(form.some(([name]) => /^match/i.test(name)) ? v8 : v0);
  }

  /** By its token. */
  ofAsker(asker: Asker | Grants<Selector>): Dialect {
    return this.#get(asker !== "anonymous" && asker.dialect === "draft-08" ? v8 : v0);
  }

  #get(wanted: Dialect): Dialect {
    return this.serves(wanted.name) ? wanted : this.#served[0];
  }
}
