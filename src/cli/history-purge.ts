/** `m2push history purge`: removes stored events, through a hub that runs, or from the JetStream stream of a cluster or the data folder of a daemon that is
 * stopped. */
import type { Config } from "../config/schema.js";
import { M2pushError } from "../errors.js";
import type { RemovalTarget } from "../protocol/removal.js";
import type { Clock } from "../util/clock.js";
import { parseTime } from "../util/rfc3339.js";
import { parseDuration } from "../util/units.js";
import { errorTexts } from "./error-texts.js";
import { authorization, send } from "./hub-request.js";

export interface PurgeOptions {
  readonly topic?: string;
  readonly id?: string;
  readonly before?: string;
  readonly url?: URL;
  readonly token?: string;
}

/** The daemon looks through all of its events. */
const TIMEOUT_MS = 60_000;

/** What the options name; a text is the fault of their usage. */
export function purgeTarget({ topic, id, before }: PurgeOptions, now: number): RemovalTarget | string {
  if ([topic, id, before].filter((it) => it !== undefined).length !== 1) return errorTexts.purgeTarget;
  if (topic !== undefined) return { topic };
  if (id !== undefined) return { id };
  const age = parseDuration(before ?? "");
  const time = age === undefined ? parseTime(before ?? "") : now - age;
  return time === undefined ? errorTexts.purgeTime : { before: time };
}

/** Resolves with the number of removed events. */
export async function purge(
  target: RemovalTarget,
  { url, token }: PurgeOptions,
  config: Config,
  clock: Clock,
): Promise<number> {
  const { cluster, history } = config;
  if (url) return purgeThroughHub(target, url, token);
  if (cluster.nats.length > 0) {
    const { purgeStream } = await import("../cluster/purge-stream.js");
    return purgeStream(config, target, clock);
  }
  const { purgeHistory } = await import("../storage/history-archive.js");
  return purgeHistory(history.path, target, clock);
}

async function purgeThroughHub(target: RemovalTarget, hub: URL, token: string | undefined): Promise<number> {
  const url = new URL(hub);
  for (const [name, value] of Object.entries(target)) {
    url.searchParams.set(name, typeof value === "number" ? new Date(value).toISOString() : value);
  }
  const { status, ok, text } = await send(url, { method: "DELETE", headers: authorization(token) }, TIMEOUT_MS);
  if (ok) return Number(JSON.parse(text).removed);
  if (status.startsWith("404")) return 0;
  throw new M2pushError("link_failed", `${hub.href} answered ${status}: ${text.slice(0, 1000)}`);
}
