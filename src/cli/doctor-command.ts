/** `m2push doctor`: checks the configuration, Mongrel2 and the link between them; prints one line for each check, with the fix. */
import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import type { Config, ServerConfig } from "../config/schema.js";
import { M2pushError } from "../errors.js";
import { type Mongrel2Database, readDatabase, type ServerRow } from "../mongrel2/mongrel2-database.js";
import { adminUrl, fetchStatus } from "../observability/admin/fetch-status.js";
import type { Status } from "../observability/admin/status.js";
import { type ClientLimits, checkCapacity } from "./doctor/check-capacity.js";
import { checkCompression } from "./doctor/check-compression.js";
import { checkControl } from "./doctor/check-control.js";
import { checkControlPort } from "./doctor/check-control-port.js";
import { checkDefaultHost } from "./doctor/check-default-host.js";
import { checkIdents } from "./doctor/check-idents.js";
import { checkIdle } from "./doctor/check-idle.js";
import { checkLink } from "./doctor/check-link.js";
import { checkOrigin } from "./doctor/check-origin.js";
import { checkOrphans } from "./doctor/check-orphans.js";
import { checkRoutes, serversOf } from "./doctor/check-routes.js";
import { checkForwarding, checkSettings, checkUploads } from "./doctor/check-settings.js";
import { checkTargets } from "./doctor/check-targets.js";
import { checkTopics } from "./doctor/check-topics.js";
import { checkWebhooks } from "./doctor/check-webhooks.js";
import { databaseFindings } from "./doctor/database-findings.js";
import { findHandler } from "./doctor/find-handler.js";
import { findMongrel2, isConnected } from "./doctor/find-mongrel2.js";
import { type Finding, findingLine } from "./doctor/finding.js";
import { liveFindings } from "./doctor/live-findings.js";
import { type Io, processIo } from "./io.js";
import { addConfigOptions, loadFor } from "./options.js";

export function addDoctor(program: Command, io: Io = processIo): void {
  const command = program.command("doctor").summary("check the configuration, Mongrel2 and the link between them");
  command.description(
    "Compares the configuration with Mongrel2's, and tests the link in both directions. Prints one line for each check: ok, warn " +
      "or FAIL, with the fix. Changes nothing, and receives no request in place of a running daemon. Exit code 1 when a check fails.",
  );
  command.option("--strict", "exit code 1 for warnings too");
  command.option("--json", "print one JSON document with all findings instead of lines");
  command.option(
    "--mongrel2-db <file>",
    "Mongrel2's configuration database, as in `m2sh load -db`; without it, doctor checks running processes only",
  );
  addConfigOptions(command).action((options: DoctorOptions) => runDoctor(command, options, io));
}

interface DoctorOptions {
  readonly mongrel2Db?: string;
  readonly strict?: boolean;
  readonly json?: true;
}

/** Called with each finding as soon as it is known. */
type ReportFindings = (subject: string, findings: readonly Finding[]) => void;

async function runDoctor(command: Command, { mongrel2Db, strict = false, json }: DoctorOptions, io: Io): Promise<void> {
  const reported: ({ readonly subject: string } & Finding)[] = [];
  await examine(command, mongrel2Db, io, (subject, findings) => {
    for (const finding of findings) {
      reported.push({ subject, ...finding });
      if (!json) io.stdout.write(`${findingLine(subject, finding)}\n`);
    }
  });
  const failed = reported.filter(({ level }) => level === "FAIL").length;
  const warnings = reported.filter(({ level }) => level === "warn").length;
  if (json)
    io.stdout.write(`${JSON.stringify({ checks: reported.length, failed, warnings, findings: reported }, null, 2)}\n`);
  const counted = failed + (strict ? warnings : 0);
  if (counted === 0) return;
  const which =
    strict && warnings > 0
      ? ` (--strict: ${warnings} of them ${warnings === 1 ? "is a warning" : "are warnings"})`
      : "";
  throw new M2pushError("unavailable", `${counted} of ${reported.length} checks failed${which}`);
}

/** The input of the checks. */
interface CheckInput {
  readonly config: Config;
  readonly database: Mongrel2Database | undefined;
  readonly daemon: Status | undefined;
  /** The folders that Mongrel2's ipc paths may be relative to, when it has no chroot. */
  readonly folders: readonly string[];
  readonly io: Io;
}

async function examine(command: Command, file: string | undefined, io: Io, report: ReportFindings): Promise<void> {
  const { config } = loadFor(command, io);
  const daemon = await queryDaemon(config);
  report("m2push", [daemonFinding(config, daemon), ...checkCompression(config), ...checkTopics(config)]);
  report("m2push", await checkWebhooks(config, daemon?.webhooks ?? []));
  const database = file === undefined ? undefined : await openDatabase(resolve(io.cwd, file), report);
  const folders = file === undefined ? [] : foldersAround(resolve(io.cwd, file), io.cwd);
  for (const server of config.mongrel2) {
    const input = { config, database, daemon, folders, io };
    for await (const findings of examineServer(server, input)) report(server.name, findings);
  }
}

/** The checks of one server, ordered so that an earlier fault explains a later one. */
async function* examineServer(ours: ServerConfig, input: CheckInput): AsyncGenerator<readonly Finding[]> {
  const { config, database, daemon, io } = input;
  const rows = database && (yield* examineDatabase(ours, input, database));
  const { findings, uuid } = await checkControl(
    ours,
    rows?.map((row) => row.uuid),
    io.clock,
  );
  yield findings;
  if (database) yield checkCapacity(clientsOf(config, daemon), filesOf(uuid, rows), database);
  yield await checkLink(ours, config, daemon, io.clock);
  yield await checkOrphans(ours, daemon);
}

/** The checks of Mongrel2's configuration. Returns the servers with a route to the Handler; undefined when it was not found. */
async function* examineDatabase(
  ours: ServerConfig,
  { config, folders }: CheckInput,
  database: Mongrel2Database,
): AsyncGenerator<readonly Finding[], readonly ServerRow[] | undefined> {
  const roots = database.servers.flatMap(({ chroot }) => (chroot === "" ? [] : [chroot]));
  const mongrel2Folders = roots.length > 0 ? roots : [...folders, ...runningFolders(database)];
  const { row, findings } = findHandler(ours, database, mongrel2Folders);
  yield findings;
  if (!row) return undefined;
  yield checkIdents(ours, row, config.mongrel2.length);
  yield checkRoutes(config, row, database);
  const servers = serversOf(row, database);
  for (const server of servers) {
    yield [checkDefaultHost(server, database), ...checkControlPort(ours, server, database, mongrel2Folders)];
    yield checkOrigin(config, row, server, database);
  }
  yield checkSettings(database, config.publish.max_batch_bytes);
  yield [...checkUploads(database), ...checkForwarding(database, config.stream.trusted_proxies)];
  yield [checkTargets(ours, database), checkIdle(config, database)];
  return servers.length > 0 ? servers : undefined;
}

const filesOf = (uuid: string | undefined, rows: readonly ServerRow[] | undefined): number | undefined => {
  const server = uuid ?? rows?.[0]?.uuid;
  return server === undefined ? undefined : findMongrel2(server)?.files;
};

/** The working folders of the running Mongrel2 servers of the database. */
const runningFolders = ({ servers }: Mongrel2Database): string[] =>
  servers.flatMap(({ uuid }) => findMongrel2(uuid)?.folder ?? []);

/** The folder of the database, the one above it (`m2push up` keeps the database in run/), and the working folder. */
const foldersAround = (file: string, cwd: string): string[] => [dirname(file), dirname(dirname(file)), cwd];

async function openDatabase(path: string, report: ReportFindings): Promise<Mongrel2Database | undefined> {
  try {
    return await readDatabase(path);
  } catch (error) {
    if (!(error instanceof M2pushError)) throw error;
    report("mongrel2", [databaseFindings.unreadable(error.message)]);
    return undefined;
  }
}

async function queryDaemon({ admin: { listen } }: Config): Promise<Status | undefined> {
  return listen === "" || listen.endsWith(":0") ? undefined : fetchStatus(adminUrl(listen)).catch(() => undefined);
}

function daemonFinding({ admin, mongrel2 }: Config, daemon: Status | undefined): Finding {
  if (!daemon) {
    const reason = admin.listen === "" ? "[admin] listen is off" : `nothing answers at [admin] listen ${admin.listen}`;
    const isRunning = mongrel2.some(({ send_spec: spec }) => isConnected(spec));
    return isRunning ? liveFindings.daemonNotQueried(reason) : liveFindings.daemonMissing(reason);
  }
  const served = new Set(daemon.servers.map(({ sendSpec, recvSpec }) => `${sendSpec} ${recvSpec}`));
  if (!mongrel2.every((it) => served.has(`${it.send_spec} ${it.recv_spec}`)))
    return liveFindings.daemonDiffers(daemon.pid);
  if (daemon.ready) return liveFindings.daemonReady(daemon.m2push, daemon.pid);
  return liveFindings.daemonNotReady(daemon.pid, daemon.notReadyReasons);
}

/** max_clients = 0 means no limit. */
const clientsOf = ({ stream }: Config, daemon: Status | undefined): ClientLimits => ({
  most: stream.max_clients > 0 ? stream.max_clients : undefined,
  now: daemon?.clients ?? 0,
});
