/** `m2push up`: Mongrel2 and the daemon together, as `npm start` does; everything they write stands below the working folder. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import type { Command } from "commander";
import { issueKey } from "../auth/issue.js";
import type { Config } from "../config/schema.js";
import type { Logger } from "../log/logger.js";
import { Mongrel2Process } from "../mongrel2/process.js";
import { systemClock } from "../util/clock.js";
import { addConfigOptions, addSharedOption } from "./options.js";
import { type Companion, runDaemon } from "./running.js";
import { layOut, PAIR } from "./starter.js";

export function addUp(program: Command): void {
  const command = program.command("up").summary("run Mongrel2 and the daemon together");
  command.description(
    "Runs Mongrel2 (from the mongrel2.conf beside the configuration file) and the daemon, in the working folder. Without -c " +
      `it reads ${PAIR.config} there; a folder without one is given a pair that works. SIGINT or SIGTERM stops both.`,
  );
  command.option("--mongrel2-conf <file>", "Mongrel2's configuration");
  addConfigOptions(addSharedOption(command)).action(
    async ({ config, mongrel2Conf }: { config?: string; mongrel2Conf?: string }) => {
      const written = config === undefined && mongrel2Conf === undefined ? layOut(process.cwd()) : undefined;
      if (config === undefined && existsSync(PAIR.config)) command.setOptionValue("config", PAIR.config);
      const conf = mongrel2Conf ?? (config === undefined ? PAIR.mongrel2 : join(dirname(config), "mongrel2.conf"));
      await runDaemon(command, (log, loaded) => {
        if (written)
          log.info({ event: "files", written }, "began with copies of what comes with m2push: change them at will");
        return mongrel2(conf, log, loaded);
      });
    },
  );
}

function mongrel2(conf: string, log: Logger, config: Config): Companion {
  const child = new Mongrel2Process(conf, systemClock, {
    started: (pid) => log.info({ event: "mongrel2 started", pid }, "Mongrel2 started"),
    died: (how, wait) => log.error({ event: "mongrel2 died", how, wait }, "Mongrel2 died: starting it again"),
  });
  return {
    prepare: () => withKey(config),
    async start() {
      await child.start();
      const { auth, history, hub } = config;
      if (auth.publisher_key === "") log.info({ event: "key" }, `publish: ${curlLine(history.path, hub)}`);
      log.info({ event: "up", address: address(conf) }, `open ${address(conf)} in a browser; Ctrl-C stops`);
    },
    stop: () => child.stop(),
  };
}

/** Where no key is configured, one is made beside the data: so that publishing over HTTP can be tried at once. */
async function withKey(config: Config): Promise<Config> {
  const { auth, history } = config;
  if (auth.publisher_key !== "") return config;
  const { keyFile } = await issueKey(history.path);
  return { ...config, auth: { ...auth, publisher_key: keyFile } };
}

/** For people to copy. The token stays in its file: what is logged is no secret. */
function curlLine(folder: string, { origin, path }: Config["hub"]): string {
  const token = relative(process.cwd(), join(folder, "publisher.jwt"));
  return `curl -H "Authorization: Bearer $(cat ${token})" -d topic=news -d data=hello ${origin}${path}`;
}

/** Where the server of a mongrel2.conf listens, for people. */
function address(conf: string): string {
  const port = /\bport\s*=\s*(\d+)/.exec(readFileSync(conf, "utf8"))?.[1] ?? "6767";
  return `http://localhost:${port}/`;
}
