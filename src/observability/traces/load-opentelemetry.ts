/** Loads OpenTelemetry, whose packages are optional: only a daemon with [traces] endpoint needs them. */
import { M2pushError, messageOf } from "../../errors.js";

export type OpenTelemetryApi = typeof import("@opentelemetry/api");

export interface OpenTelemetry {
  readonly api: OpenTelemetryApi;
  readonly sdk: typeof import("@opentelemetry/sdk-trace-base");
  readonly resources: typeof import("@opentelemetry/resources");
  readonly otlp: typeof import("@opentelemetry/exporter-trace-otlp-http");
}

/** With the versions that this version of m2push was tested with. */
const PACKAGES =
  "@opentelemetry/api@1.9 @opentelemetry/sdk-trace-base@2 @opentelemetry/resources@2 @opentelemetry/exporter-trace-otlp-http@0.223";

/** Throws "config_invalid" when a package is missing or unusable. `load`: imports a package; absent = the runtime does. */
export async function loadOpenTelemetry(load: () => Promise<OpenTelemetry> = importAll): Promise<OpenTelemetry> {
  try {
    return await load();
  } catch (cause) {
    const what = `[traces] endpoint is set, and OpenTelemetry cannot be loaded: ${messageOf(cause)}`;
    const fix = `npm install ${PACKAGES} beside m2push (Debian package: npm install --global --prefix /usr ...), or remove [traces] endpoint`;
    throw new M2pushError("config_invalid", `${what}; fix: ${fix}`, { cause });
  }
}

async function importAll(): Promise<OpenTelemetry> {
  return {
    api: await import("@opentelemetry/api"),
    sdk: await import("@opentelemetry/sdk-trace-base"),
    resources: await import("@opentelemetry/resources"),
    otlp: await import("@opentelemetry/exporter-trace-otlp-http"),
  };
}
