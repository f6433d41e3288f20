/** `m2push doctor`: looks for the faults that people make, one line a check, with what to do. */
import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import type { Config, ServerConfig } from "../config/schema.js";
import { M2pushError } from "../errors.js";
import { type Mongrel2Database, readDatabase, type ServerRow } from "../mongrel2/mongrel2-database.js";
import { adminUrl, fetchStatus } from "../observability/admin/fetch-status.js";
import type { Status } from "../observability/admin/status.js";
import { type ClientLimits, checkCapacity, checkIdle, checkTargets } from "./doctor/check-limits.js";
import { checkControl, checkLink } from "./doctor/check-link.js";
import { checkOrigin } from "./doctor/check-origin.js";
import { checkOrphans } from "./doctor/check-orphans.js";
import { checkSettings } from "./doctor/check-settings.js";
import { checkControlPort, checkDefaultHost, checkRoutes, serversOf } from "./doctor/check-site.js";
import { checkIdents, findHandler } from "./doctor/find-handler.js";
import { findMongrel2, isConnected } from "./doctor/find-mongrel2.js";
import { type Finding, fail, lineOf, ok, warn } from "./doctor/finding.js";
import { type Io, processIo } from "./io.js";
import { addConfigOptions, loadFor } from "./options.js";

export function addDoctor(program: Command, io: Io = processIo): void {
  const command = program.command("doctor").summary("look for faults in the set-up, and say what to do");
  command.description(
    "Checks the configuration against Mongrel2's, and that messages go both ways: one line a check, with what to do about " +
      "it. Changes nothing. A running daemon is asked, and nothing is taken from it. Exit code 1 when a check fails.",
  );
  command.option("--strict", "exit code 1 for warnings, too");
  command.option("--json", "one JSON document with all findings, instead of lines");
  command.option(
    "--mongrel2-db <file>",
    "Mongrel2's config database, as in `m2sh load -db`; without it only live checks",
  );
  addConfigOptions(command).action((options: DoctorOptions) => report(command, options, io));
}

interface DoctorOptions {
  readonly mongrel2Db?: string;
  readonly strict?: boolean;
  readonly json?: true;
}

/** Called with each finding, as soon as it is there. */
type Tell = (subject: string, findings: readonly Finding[]) => void;

async function report(command: Command, { mongrel2Db, strict = false, json }: DoctorOptions, io: Io): Promise<void> {
  const told: ({ readonly subject: string } & Finding)[] = [];
  await examine(command, mongrel2Db, io, (subject, findings) => {
    for (const finding of findings) {
      told.push({ subject, ...finding });
      if (!json) io.stdout.write(`${lineOf(subject, finding)}\n`);
    }
  });
  const failed = told.filter(({ level }) => level === "FAIL").length;
  const warnings = told.filter(({ level }) => level === "warn").length;
  if (json) io.stdout.write(`${JSON.stringify({ checks: told.length, failed, warnings, findings: told }, null, 2)}\n`);
  const counted = failed + (strict ? warnings : 0);
  if (counted === 0) return;
  const which =
    strict && warnings > 0
      ? ` (--strict: ${warnings} of them ${warnings === 1 ? "is a warning" : "are warnings"})`
      : "";
  throw new M2pushError("unavailable", `${counted} of ${told.length} checks failed${which}`);
}

/** Everything a check may look at. */
interface Subject {
  readonly config: Config;
  readonly database: Mongrel2Database | undefined;
  readonly daemon: Status | undefined;
  /** What ipc paths of Mongrel2 may be relative to, when it has no chroot. */
  readonly folders: readonly string[];
  readonly io: Io;
}

async function examine(command: Command, file: string | undefined, io: Io, tell: Tell): Promise<void> {
  const { config } = loadFor(command, io);
  const daemon = await askDaemon(config);
  tell("m2push", [aboutDaemon(config, daemon)]);
  const database = file === undefined ? undefined : await openDatabase(resolve(io.cwd, file), tell);
  const folders = file === undefined ? [] : placesAround(resolve(io.cwd, file), io.cwd);
  for (const server of config.mongrel2) {
    const subject = { config, database, daemon, folders, io };
    for await (const findings of examineServer(server, subject)) tell(server.name, findings);
  }
}

/** The checks of one server, in the order in which one fault explains the next. */
async function* examineServer(ours: ServerConfig, subject: Subject): AsyncGenerator<readonly Finding[]> {
  const { config, database, daemon, io } = subject;
  const rows = database && (yield* examineRows(ours, subject, database));
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

/** What stands in Mongrel2's configuration. Returns the servers that lead to our handler; none when it was not found. */
async function* examineRows(
  ours: ServerConfig,
  { config, folders }: Subject,
  database: Mongrel2Database,
): AsyncGenerator<readonly Finding[], readonly ServerRow[] | undefined> {
  const roots = database.servers.flatMap(({ chroot }) => (chroot === "" ? [] : [chroot]));
  const places = roots.length > 0 ? roots : [...folders, ...runningFolders(database)];
  const { row, findings } = findHandler(ours, database, places);
  yield findings;
  if (!row) return undefined;
  yield checkIdents(ours, row, config.mongrel2.length);
  yield checkRoutes(config, row, database);
  const servers = serversOf(row, database);
  for (const server of servers) {
    yield [checkDefaultHost(server, database), ...checkControlPort(ours, server, database, places)];
    yield checkOrigin(config, row, server, database);
  }
  yield checkSettings(database);
  yield [checkTargets(ours, database), checkIdle(config, database)];
  return servers.length > 0 ? servers : undefined;
}

const filesOf = (uuid: string | undefined, rows: readonly ServerRow[] | undefined): number | undefined => {
  const server = uuid ?? rows?.[0]?.uuid;
  return server === undefined ? undefined : findMongrel2(server)?.files;
};

/** Where the Mongrel2s of the database run now. */
const runningFolders = ({ servers }: Mongrel2Database): string[] =>
  servers.flatMap(({ uuid }) => findMongrel2(uuid)?.folder ?? []);

/** Beside the database, above it (`m2push up` keeps it in run/), and here. */
const placesAround = (file: string, cwd: string): string[] => [dirname(file), dirname(dirname(file)), cwd];

async function openDatabase(path: string, tell: Tell): Promise<Mongrel2Database | undefined> {
  try {
    return await readDatabase(path);
  } catch (error) {
    if (!(error instanceof M2pushError)) throw error;
    tell("mongrel2", [fail(error.message, "make it with: m2sh load -config mongrel2.conf -db config.sqlite")]);
    return undefined;
  }
}

async function askDaemon({ admin: { listen } }: Config): Promise<Status | undefined> {
  return listen === "" || listen.endsWith(":0") ? undefined : fetchStatus(adminUrl(listen)).catch(() => undefined);
}

function aboutDaemon({ admin, mongrel2 }: Config, daemon: Status | undefined): Finding {
  if (!daemon) {
    const where = admin.listen === "" ? "[admin] listen is off" : `nothing answers at [admin] listen ${admin.listen}`;
    if (mongrel2.some(({ send_spec: spec }) => isConnected(spec))) return ok(`${where}: a daemon cannot be asked`);
    const what = `no daemon was found (${where}): requests wait in Mongrel2; the link is tried from here`;
    return warn(what, "start it: m2push serve, or systemctl start m2push");
  }
  const served = new Set(daemon.servers.map(({ sendSpec, recvSpec }) => `${sendSpec} ${recvSpec}`));
  if (!mongrel2.every((it) => served.has(`${it.send_spec} ${it.recv_spec}`))) {
    const what = `the running daemon (pid ${daemon.pid}) has other specs than this configuration`;
    return warn(what, "restart it, or give the configuration that it was started with (-c)");
  }
  if (daemon.ready) return ok(`version ${daemon.m2push} runs (pid ${daemon.pid}) and is ready`);
  return fail(
    `the daemon (pid ${daemon.pid}) is not ready: ${daemon.notReadyReasons.join("; ")}`,
    "see the lines below",
  );
}

/** max_clients = 0 is no limit: nobody said how many there may be. */
const clientsOf = ({ stream }: Config, daemon: Status | undefined): ClientLimits => ({
  most: stream.max_clients > 0 ? stream.max_clients : undefined,
  now: daemon?.clients ?? 0,
});
