/** Refuses a version of Node.js that lacks what the daemon depends on. Imports nothing, so that it loads on every version with ES modules. */

/** The first version with zlib.crc32, the checksum of stored blocks; older ones would store and read them unchecked. */
export const MIN_NODE_VERSION = "20.15";

/** Why this version cannot run m2push, and what to do; undefined when it can. `version`: as in process.version, "v20.14.0". */
export function nodeVersionFault(version: string): string | undefined {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  const [minMajor = 0, minMinor = 0] = MIN_NODE_VERSION.split(".").map(Number);
  if (major > minMajor || (major === minMajor && minor >= minMinor)) return undefined;
  return `expected Node.js ${MIN_NODE_VERSION} or newer, got ${version}; fix: install a newer Node.js and start m2push with it`;
}

/** libuv of Node.js 20 pads the abstract names of Unix sockets with zeros, so they differ from the names of other programs. */
export const HAS_ABSTRACT_NAMES: boolean = Number(process.versions.node.split(".")[0]) >= 22;
