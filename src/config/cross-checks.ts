/** The rules that concern more than one key. They ignore a key whose own value is invalid. */
import type { CurvePublisher } from "./curve-types.js";
import { faultTexts } from "./fault-texts.js";
import type { TableArray } from "./schema.js";
import type { Settings } from "./settings.js";

/** A setting whose value is a string, with its path. */
interface TextSetting {
  readonly path: string;
  readonly value: string;
  readonly location: string;
  readonly isDefault: boolean;
}

/** The paths of the tables of which a file may have several: "mongrel2[0]". */
export type Tables = Readonly<Record<TableArray, readonly string[]>>;

type Rule = (settings: Settings, tables: Tables) => void;

/** Each table costs a comparison with every new topic. */
export const MAX_TOPIC_TABLE_COUNT = 1000;
/** Each may have a timer and a request of its own. */
const MAX_ISSUER_TABLE_COUNT = 100;
/** Each has a request under way, and its events in memory. */
const MAX_WEBHOOK_COUNT = 16;

/** Each rule records its own faults. */
const RULES: readonly Rule[] = [
  uniqueNames,
  uniqueAddresses,
  connectableAddresses,
  differentPaths,
  linkCurve,
  nativeCurve,
  topicSelectors,
  topicCount,
  keptTopics,
  issuers,
  webhooks,
];

export function crossChecks(settings: Settings, tables: Tables): void {
  for (const rule of RULES) rule(settings, tables);
}

/** Logs, metrics and the client store identify a server by its name. */
function uniqueNames(settings: Settings, { mongrel2: servers }: Tables): void {
  const names = servers.map((server) => textSetting(settings, `${server}.name`));
  rejectDuplicates(settings, names, "a unique name", (value) => value);
}

/**
 * An address belongs to one socket. The most common error is a send_spec that equals the recv_spec; two servers with one send_spec
 * would each receive every other request (docs/architecture/mongrel2.md 2.8).
 */
function uniqueAddresses(settings: Settings, { mongrel2: servers }: Tables): void {
  const listen = textSetting(settings, "admin.listen");
  const addresses = [
    ...servers.flatMap((server) =>
      ["send_spec", "recv_spec", "control"].map((key) => textSetting(settings, `${server}.${key}`)),
    ),
    textSetting(settings, "publish.zmq"),
    textSetting(settings, "publish.zmq_acknowledged"),
    ...curveAddresses(settings),
    textSetting(settings, "events.zmq"),
    listen && listen.value !== "" && !listen.value.endsWith(":0")
      ? { ...listen, value: `tcp://${listen.value}` }
      : undefined,
  ];
  rejectDuplicates(settings, addresses, "a unique address", (value) => value.replace("//localhost:", "//127.0.0.1:"));
}

/** Mongrel2 may bind tcp://*:port; connecting needs a host. */
function connectableAddresses(settings: Settings, { mongrel2: servers }: Tables): void {
  for (const server of servers) {
    const bind = settings.get(`${server}.bind`)?.value === true;
    for (const key of bind ? ["control"] : ["send_spec", "recv_spec", "control"]) {
      const address = textSetting(settings, `${server}.${key}`);
      if (!address?.value.startsWith("tcp://*:")) continue;
      settings.fault(address.location, address.path, faultTexts.notConnectable(address.value));
    }
  }
}

/** Mongrel2 has no CURVE: a daemon that connects would wait for a handshake that never comes. */
function linkCurve(settings: Settings, { mongrel2: servers }: Tables): void {
  for (const server of servers) {
    const [secret, client] = ["curve_server_secret_key", "curve_client_public_key"].map((key) =>
      textSetting(settings, `${server}.${key}`),
    );
    if (secret === undefined || client === undefined || (secret.value === "" && client.value === "")) continue;
    const [missing] = [secret, client].filter(({ value }) => value === "");
    if (missing !== undefined) settings.fault(missing.location, missing.path, faultTexts.incompleteCurve);
    if (settings.get(`${server}.bind`)?.value === false)
      settings.fault(secret.location, secret.path, faultTexts.curveWithoutBind);
  }
}

function nativeCurve(settings: Settings, { mongrel2: servers }: Tables): void {
  const implementation = textSetting(settings, "zmq.implementation");
  if (implementation?.value !== "native") return;
  const hasCurve =
    curveAddresses(settings).length > 0 ||
    servers.some((server) => textSetting(settings, `${server}.curve_server_secret_key`)?.value);
  if (hasCurve) settings.fault(implementation.location, implementation.path, faultTexts.nativeCurve);
}

function curveAddresses(settings: Settings): TextSetting[] {
  const { value, location, source } = settings.get("publish.curve") ?? {};
  if (location === undefined) return [];
  return (value as readonly CurvePublisher[]).map(({ address }) => {
    return { path: "publish.curve", value: address, location, isDefault: source?.from === "default" };
  });
}

/** A fault points to the second selector of a table, or to the header of one without any. */
function topicSelectors(settings: Settings, { topic: topics }: Tables): void {
  for (const table of topics) {
    const selectors = ["topic", "template", "pattern"].map((name) => ({ name, ...settings.get(`${table}.${name}`) }));
    // An invalid selector has its own fault.
    if (selectors.some(({ location }) => location === undefined)) continue;
    const given = selectors.filter(({ value }) => value !== undefined);
    const { location = "" } = given[1] ?? selectors[0] ?? {};
    const names = given.map(({ name }) => name);
    if (given.length !== 1) settings.fault(location, table, faultTexts.notOneSelector(names));
  }
}

function topicCount(settings: Settings, { topic: topics }: Tables): void {
  const first = topics[MAX_TOPIC_TABLE_COUNT];
  const location = first === undefined ? undefined : settings.get(`${first}.rate`)?.location;
  if (location !== undefined) settings.fault(location, "topic", faultTexts.tooManyTopics(MAX_TOPIC_TABLE_COUNT));
}

/** JetStream removes messages by the limits of the stream, which know nothing of topics: docs/decisions/0061-kept-events.md. */
function keptTopics(settings: Settings, { topic: topics }: Tables): void {
  const servers = settings.get("cluster.nats")?.value;
  if (!Array.isArray(servers) || servers.length === 0) return;
  for (const table of topics) {
    const { value, location = "" } = settings.get(`${table}.keep`) ?? {};
    if (value === "last") settings.fault(location, `${table}.keep`, faultTexts.keepInCluster);
  }
}

function issuers(settings: Settings, { issuer: tables }: Tables): void {
  for (const [index, table] of tables.entries()) {
    const { value: issuer, location = "" } = settings.get(`${table}.issuer`) ?? {};
    const [keys, url] = ["keys", "jwks_url"].map((name) => textSetting(settings, `${table}.${name}`));
    if (index === MAX_ISSUER_TABLE_COUNT) settings.fault(location, "issuer", faultTexts.tooManyIssuers(index));
    if (location !== "" && issuer === undefined) settings.fault(location, `${table}.issuer`, faultTexts.noIssuer);
    if (keys !== undefined && url !== undefined && (keys.value === "") === (url.value === ""))
      settings.fault(url.location, table, faultTexts.notOneKeySource);
  }
  for (const name of ["issuer", "name"]) {
    const values = tables.map((table) => textSetting(settings, `${table}.${name}`));
    rejectDuplicates(settings, values, `a unique ${name}`, (value) => value);
  }
}

function webhooks(settings: Settings, { webhook: tables }: Tables): void {
  for (const [index, table] of tables.entries()) {
    const url = settings.get(`${table}.url`);
    const secret = textSetting(settings, `${table}.secret`);
    if (index === MAX_WEBHOOK_COUNT) settings.fault(url?.location ?? "", "webhook", faultTexts.tooManyWebhooks(index));
    if (url && url.value === undefined) settings.fault(url.location, `${table}.url`, faultTexts.noWebhookUrl);
    if (secret?.value === "") settings.fault(secret.location, secret.path, faultTexts.noWebhookSecret);
  }
  const names = tables.map((table) => textSetting(settings, `${table}.name`));
  rejectDuplicates(settings, names, "a unique name", (value) => value);
}

/** The router selects a route by the path alone. */
function differentPaths(settings: Settings): void {
  const paths = [textSetting(settings, "stream.path"), textSetting(settings, "hub.path")];
  rejectDuplicates(settings, paths, "a unique path", (value) => value);
}

/** Of two settings with the same value, the fault points to the one that the user wrote, not to a default. */
function rejectDuplicates(
  settings: Settings,
  all: readonly (TextSetting | undefined)[],
  expected: string,
  canonical: (value: string) => string,
): void {
  const seen = new Map<string, TextSetting>();
  const given = all.filter((one): one is TextSetting => one !== undefined && one.value !== "");
  for (const one of given.sort((a, b) => Number(b.isDefault) - Number(a.isDefault))) {
    const first = seen.get(canonical(one.value));
    if (first === undefined) seen.set(canonical(one.value), one);
    else settings.fault(one.location, one.path, faultTexts.duplicate(expected, one.value, describe(first)));
  }
}

const describe = ({ path, location, isDefault }: TextSetting): string =>
  `${path.replace(/\[[0-9]+\]/, "")} (${isDefault ? "default" : location})`;

function textSetting(settings: Settings, path: string): TextSetting | undefined {
  const { value, location, source } = settings.get(path) ?? {};
  if (typeof value !== "string" || location === undefined) return undefined;
  return { path, value, location, isDefault: source?.from === "default" };
}
