/** What [stream] compression does with this Node.js. */
import type { Config } from "../../config/schema.js";
import { type DeflaterKind, workingKind } from "../../delivery/deflater.js";
import { type Finding, ok, warn } from "./finding.js";

/** Empty where nothing is compressed. `kind`: how this Node.js compresses. */
export function checkCompression({ stream, auth }: Config, kind: DeflaterKind = workingKind()): Finding[] {
  const { compression } = stream;
  if (compression === "off") return [];
  const findings = [kind === "state" ? compressionFindings.good(compression) : compressionFindings.slow()];
  const hasPublishers = auth.publisher_key !== "" || auth.allow_publish_from.length > 0;
  if (compression === "all" && hasPublishers) findings.push(compressionFindings.guessable());
  return findings;
}

const compressionFindings = {
  good: (mode: string) =>
    ok(`[stream] compression = "${mode}": each body is compressed once for all clients of an audience`),
  slow: () =>
    warn(
      `[stream] compression: this Node.js (${process.version}) compresses bodies without the state of a stream, which takes four times as long`,
      "use a version that m2push is tested with (20, 22, 24, 26)",
    ),
  guessable: () =>
    warn(
      '[stream] compression = "all": a publisher that sees the sizes of the bodies of a stream can guess what private events say',
      'compression = "public", unless all publishers may read all private events (docs/secure.md)',
    ),
};
