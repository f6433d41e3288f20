import { M2pushError } from "../errors.js";

/** The configuration is invalid ("config_invalid"). `faults` has a line for each error; the message is all of them, one a line. */
export class ConfigError extends M2pushError {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super("config_invalid", faults.join("\n"));
    this.name = "ConfigError";
    this.faults = faults;
  }
}
