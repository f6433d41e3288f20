/** What a configuration without a fault costs, where that may not be meant: told by `m2push config`, in the log and by the doctor. */
import type { Config } from "./schema.js";

export function configWarnings({ mongrel2 }: Config): string[] {
  return mongrel2
    .filter(({ bind, control }) => bind && control === undefined)
    .map(({ name }) => {
      const what = `[[mongrel2]] "${name}": bind = true without control: private events are not served`;
      return `${what}; fix: set control to Mongrel2's control_port`;
    });
}
