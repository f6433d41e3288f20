/** `m2push up`: runs Mongrel2 and the daemon together, as `npm start` does. All their files are below the working folder. */
import { existsSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { type Command, Option } from "commander";
import type { Config, ServerConfig } from "../config/schema.js";
import { issueKey } from "../http/auth/issue-key.js";
import { type Mongrel2Files, Mongrel2Process, onlyMongrel2 } from "../mongrel2/mongrel2-process.js";
import type { Logger } from "../observability/log/logger.js";
import { type Cancel, systemClock } from "../util/clock.js";
import { LOCAL_NAMES, withLocalPublishers } from "./local-publishers.js";
import { addConfigOptions, addSharedOption, wholeNumber } from "./options.js";
import { checkAddresses, webAddress, whenAnswered } from "./preflight.js";
import { runDaemon, type Sidecar } from "./run-daemon.js";
import { PAIR, scaffold } from "./scaffold.js";
import { planSeveral, type UpPlan } from "./up/plan-several.js";
import { MAX_SERVER_COUNT } from "./up/server-confs.js";

export function addUp(program: Command): void {
  const command = program.command("up").summary("run Mongrel2 and the daemon together");
  command.description(
    "Runs Mongrel2 and the daemon together in the working folder. Mongrel2's configuration is the mongrel2.conf beside the " +
      `configuration file. Without -c it reads ${PAIR.config}; if that does not exist, it creates working configuration files. ` +
      "SIGINT or SIGTERM stops both.",
  );
  command.option(
    "--mongrel2-conf <file>",
    "Mongrel2's configuration (default: mongrel2.conf beside the configuration file)",
  );
  command.addOption(
    new Option(
      "--servers <count>",
      "run this many Mongrel2s, and write configurations of nginx and HAProxy in front of them to run/",
    )
      .argParser(wholeNumber(1, MAX_SERVER_COUNT))
      .default(1),
  );
  addConfigOptions(addSharedOption(command)).action(
    async ({ config, mongrel2Conf, servers }: { config?: string; mongrel2Conf?: string; servers: number }) => {
      const written = config === undefined && mongrel2Conf === undefined ? scaffold(process.cwd()) : undefined;
      if (config === undefined && existsSync(PAIR.config)) command.setOptionValue("config", PAIR.config);
      const conf = mongrel2Conf ?? (config === undefined ? PAIR.mongrel2 : join(dirname(config), "mongrel2.conf"));
      await runDaemon(command, (log, loaded) => {
        if (written) log.info({ event: "files", written }, "created configuration files; edit them as needed");
        return mongrel2(planOf(conf, servers, loaded), log, loaded);
      });
    },
  );
}

function planOf(conf: string, count: number, config: Config): UpPlan {
  if (count > 1) return planSeveral(conf, count, config);
  const files = onlyMongrel2(conf);
  return {
    ...{ conf, servers: [files], adjust: (read) => withDatabase(files, read) },
    message: (address) => `open ${address} in a browser; stop with Ctrl-C`,
  };
}

function mongrel2({ conf, servers, adjust, message }: UpPlan, log: Logger, config: Config): Sidecar {
  const children = servers.map((files) => new Mongrel2Process(files, systemClock, mongrel2Events(log, files)));
  const cancelWaits: Cancel[] = [];
  return {
    prepare: async () => {
      for (const child of children) await child.prepare();
      checkAddresses(conf, servers, adjust(config));
      const key = await issuedKey(config);
      const hosts = servedHosts(conf, config);
      const { isLoopback } = webAddress(conf);
      return (read) => adjust(withHosts(hosts, withKey(key, withLocalPublishers(read, isLoopback))));
    },
    async start() {
      await Promise.all(children.map((child) => child.start()));
      const { auth, history, hub, stream } = config;
      if (auth.publisher_key === "") log.info({ event: "key" }, `to publish: ${curlLine(history.path, hub)}`);
      const address = `http://localhost:${webAddress(conf).port}/`;
      let waiting = servers.length;
      const answered = () => {
        if (--waiting === 0) log.info({ event: "up", address }, message(address));
      };
      for (const files of servers) {
        const own = `http://localhost:${webAddress(files.conf).port}/`;
        cancelWaits.push(whenAnswered(systemClock, new URL(stream.path, own).href, answered));
      }
    },
    async stop() {
      for (const cancel of cancelWaits) cancel();
      await Promise.all(children.map((child) => child.stop()));
    },
  };
}

function mongrel2Events(log: Logger, { conf }: Mongrel2Files): ConstructorParameters<typeof Mongrel2Process>[2] {
  return {
    started: (pid) => log.info({ event: "mongrel2_started", pid, conf }, "Mongrel2 started"),
    exited: (how, wait) => log.error({ event: "mongrel2_died", conf, how, wait }, "Mongrel2 exited; restarting it"),
  };
}

/** `up` creates Mongrel2's database, from which the daemon learns whether it is Mongrel2's only handler. */
function withDatabase(files: Mongrel2Files, config: Config): Config {
  const known = (it: ServerConfig): ServerConfig =>
    it.database === "" ? { ...it, database: resolve(files.database) } : it;
  const [first, ...more] = config.mongrel2;
  return { ...config, mongrel2: [known(first), ...more.map(known)] };
}

/** Without a configured key, creates one in the data folder, so that publishing over HTTP works at once. */
async function issuedKey({ auth, history }: Config): Promise<string | undefined> {
  return auth.publisher_key === "" ? (await issueKey(history.path, auth.issuer)).keyFile : undefined;
}

function withKey(keyFile: string | undefined, config: Config): Config {
  const { auth } = config;
  if (keyFile === undefined || auth.publisher_key !== "") return config;
  return { ...config, auth: { ...auth, publisher_key: keyFile } };
}

/** On a loopback address, accepts only the names of this machine and the host of the hub's origin (a proxy): stops DNS rebinding. */
function servedHosts(conf: string, { hub }: Config): readonly string[] {
  return webAddress(conf).isLoopback ? [...new Set([...LOCAL_NAMES, new URL(hub.origin).hostname])] : [];
}

function withHosts(hosts: readonly string[], config: Config): Config {
  return config.hub.hosts.length > 0 ? config : { ...config, hub: { ...config.hub, hosts } };
}

/** A command for users to copy. It reads the token from its file: the log contains no secret. */
function curlLine(folder: string, { origin, path }: Config["hub"]): string {
  const token = relative(process.cwd(), join(folder, "publisher.jwt"));
  return `curl -H "Authorization: Bearer $(cat ${token})" -d topic=news -d data=hello ${origin}${path}`;
}
