/** Loads configurations from texts, and collects their faults. */
import assert from "node:assert/strict";
import { parseConfigDocument } from "../../src/config/config-document.js";
import { ConfigError } from "../../src/config/config-error.js";
import { buildConfig, type LoadedConfig, type LoadOptions } from "../../src/config/load-config.js";

/** The configuration of a file /srv/config/f.toml with this text, read by a program that runs in /home/me. */
export function load(toml: string, options: LoadOptions = {}): LoadedConfig {
  return buildConfig(parseConfigDocument(toml, "f.toml", "/srv/config"), { cwd: "/home/me", ...options });
}

/** The faults of the ConfigError that `run` throws; empty when it throws nothing. */
export function faultsOf(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.code, "config_invalid");
    assert.equal(error.message, error.faults.join("\n"));
    return error.faults;
  }
  return [];
}
