/** Loads configurations from texts, and catches their faults. */
import assert from "node:assert/strict";
import { parseDocument } from "../../src/config/document.js";
import { buildConfig, type Loaded, type LoadOptions } from "../../src/config/load-config.js";
import { ConfigError } from "../../src/config/settings.js";

/** The configuration of a file /srv/config/f.toml with this text, read by a program that runs in /home/me. */
export function load(toml: string, options: LoadOptions = {}): Loaded {
  return buildConfig(parseDocument(toml, "f.toml", "/srv/config"), { cwd: "/home/me", ...options });
}

/** The faults that a loading throws, after a look at their error; empty when it throws none. */
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
