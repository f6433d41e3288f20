/** Whether the receiver of each [[webhook]] can be reached, and takes what the running daemon sends. Nothing is sent to it. */
import { connect } from "node:net";
import type { WebhookStatus } from "../../client-events/webhooks.js";
import type { Config, WebhookTable } from "../../config/schema.js";
import { isLoopback } from "../../util/loopback.js";
import { type Finding, fail, ok, quoted, warn } from "./finding.js";

const CONNECT_TIMEOUT_MS = 3000;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/** `running`: of the daemon; empty = it does not run, or has none. */
export async function checkWebhooks(config: Config, running: readonly WebhookStatus[]): Promise<Finding[]> {
  const findings = await Promise.all(
    config.webhook.map((table) =>
      checkOne(
        table,
        running.find(({ name }) => name === table.name),
      ),
    ),
  );
  return findings.flat();
}

async function checkOne({ name, url = "", previous_secret: previous }: WebhookTable, status?: WebhookStatus) {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  const error = await connectError(host, port === "" ? (DEFAULT_PORTS[protocol] ?? 0) : Number(port));
  const findings: Finding[] = [];
  if (error !== undefined) findings.push(webhookFindings.unreachable(name, hostname, error));
  if (protocol === "http:" && host !== "localhost" && !isLoopback(host))
    findings.push(webhookFindings.unencrypted(name, hostname));
  if (previous !== "") findings.push(webhookFindings.twoSecrets(name));
  if (status?.state === "disabled") findings.push(webhookFindings.disabled(name));
  if (status?.state === "waiting") findings.push(webhookFindings.failing(name, status.pending));
  return findings.length > 0 ? findings : [webhookFindings.good(name, hostname)];
}

/** Undefined = something listens there. */
function connectError(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS });
    const end = (error?: string) => {
      socket.destroy();
      resolve(error);
    };
    socket.on("connect", () => end());
    socket.on("timeout", () => end(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`));
    socket.on("error", ({ message, code }: NodeJS.ErrnoException) => end(message || code || "no connection"));
  });
}

const webhookFindings = {
  good: (name: string, host: string) => ok(`webhook ${quoted(name)}: ${quoted(host)} can be reached`),
  unreachable: (name: string, host: string, error: string) =>
    fail(
      `webhook ${quoted(name)}: ${quoted(host)} cannot be reached (${error})`,
      "start the receiver, or correct url in [[webhook]]; events wait meanwhile",
    ),
  unencrypted: (name: string, host: string) =>
    warn(
      `webhook ${quoted(name)} sends addresses and subjects of clients to ${quoted(host)} unencrypted`,
      "use https://, or a receiver on this machine",
    ),
  twoSecrets: (name: string) =>
    warn(
      `webhook ${quoted(name)} also signs with previous_secret`,
      "remove previous_secret once every receiver has the new secret",
    ),
  disabled: (name: string) =>
    fail(
      `webhook ${quoted(name)} is disabled: its receiver has answered 410 Gone`,
      "remove the table, or correct its url; then reload the configuration (SIGHUP)",
    ),
  failing: (name: string, pending: number) =>
    warn(
      `webhook ${quoted(name)}: the receiver did not take the last request, ${pending} events wait`,
      "look at the condition webhook_failing (m2push status) and at the receiver's log",
    ),
};
