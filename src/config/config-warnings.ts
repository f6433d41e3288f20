import type { Config } from "./schema.js";

/** Valid settings that disable a function, which may not be intended. `m2push config` prints them. */
export function configWarnings({ mongrel2 }: Config): string[] {
  return mongrel2
    .filter(({ bind, control }) => bind && control === undefined)
    .map(({ name }) => {
      const problem = `[[mongrel2]] "${name}" has bind = true and no control: private events are not served`;
      return `${problem}; fix: set control to Mongrel2's control_port`;
    });
}
