/**
 * The systemd units. There is no systemd in a test's container, so what a unit forbids is enforced by sandbox.c, which makes the
 * same seccomp rules of it: the daemon and Mongrel2 must do their work within them.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, type TestContext, test } from "node:test";
import { listening } from "../../support/mongrel2.js";
import { startPair } from "../../support/pair.js";
import { freePort } from "../../support/ports.js";
import { Child, PROJECT, run, temporaryDirectory } from "../../support/processes.js";
import { environment, must } from "../built.js";
import { readUnit, type Sandbox, sandboxOf, type Unit } from "../unit.js";

const UNITS = [readUnit("m2push.service"), readUnit("mongrel2-m2push.service")];
const [DAEMON, MONGREL2] = UNITS as [Unit, Unit];
/** linux/socket.h */
const FAMILIES: Readonly<Record<string, number>> = { AF_UNIX: 1, AF_INET: 2, AF_INET6: 10, AF_NETLINK: 16 };
const hasSystemd = existsSync("/usr/bin/systemd-analyze");

let folder = "";

describe("Units, end to end", () => {
  before(async () => {
    folder = temporaryDirectory();
    const source = join(PROJECT, "test/packaging/sandbox.c");
    await must("gcc", ["-O1", "-Wall", "-Wextra", "-Werror", "-o", join(folder, "sandbox"), source], folder);
  });

  /** The command that runs another one as the unit would. */
  async function within({ families, writeExecute, allowed, denied }: Sandbox): Promise<string[]> {
    const numbers = families.map((family) => FAMILIES[family] ?? assert.fail(`what is ${family}?`));
    const calls = hasSystemd ? await callNumbers(allowed, denied) : "";
    return [join(folder, "sandbox"), calls, numbers.join(","), writeExecute ? "0" : "1"];
  }

  /** Which system calls the sets of systemd hold, systemd itself must say; without it only the other rules are enforced. */
  async function callNumbers(allowed: readonly string[], denied: readonly string[]): Promise<string> {
    const no = await callsOf(denied);
    const calls = [...(await callsOf(allowed))].filter((call) => !no.has(call));
    const defined = await must("gcc", ["-dM", "-E", "-include", "sys/syscall.h", "-x", "c", "/dev/null"], folder);
    const numbers = new Map(
      [...defined.matchAll(/^#define __NR_(\w+) (\d+)$/gm)].map(([, name, number]) => [name, number]),
    );
    return calls.flatMap((call) => numbers.get(call) ?? []).join(",");
  }

  async function callsOf(words: readonly string[]): Promise<Set<string>> {
    const calls = new Set<string>();
    for (const word of words) {
      if (!word.startsWith("@")) calls.add(word);
      else {
        const lines = (await must("systemd-analyze", ["syscall-filter", word], "/"))
          .split("\n")
          .map((line) => line.trim());
        const inside = lines.slice(1).filter((line) => line !== "" && !line.startsWith("#"));
        for (const call of await callsOf(inside)) calls.add(call);
      }
    }
    return calls;
  }

  test("both services restart after any exit, and are stopped with the signals that they handle", () => {
    for (const unit of UNITS) {
      const service = (key: string) => unit.value("Service", key);
      assert.equal(service("Restart"), "always", unit.name);
      assert.equal(service("KillSignal"), "SIGTERM", unit.name);
      assert.equal(service("ExecReload"), "/bin/kill -HUP $MAINPID", unit.name);
      assert.equal(unit.value("Unit", "StartLimitIntervalSec"), "0", unit.name);
      assert.equal(unit.value("Install", "WantedBy"), "multi-user.target", unit.name);
    }
    assert.equal(MONGREL2.value("Service", "SuccessExitStatus"), "SIGABRT", "Mongrel2 ends its own stop with an abort");
    assert.equal(DAEMON.value("Service", "RestartPreventExitStatus"), "2", "exit code of a faulty configuration");
  });

  test("both services are as little as they can be", () => {
    const yes = [
      "LockPersonality",
      "NoNewPrivileges",
      "PrivateDevices",
      "PrivateTmp",
      "ProtectClock",
      "ProtectControlGroups",
      "ProtectHome",
      "ProtectHostname",
      "ProtectKernelLogs",
      "ProtectKernelModules",
      "ProtectKernelTunables",
      "RestrictNamespaces",
      "RestrictRealtime",
      "RestrictSUIDSGID",
    ];
    for (const unit of UNITS) {
      for (const key of yes) assert.equal(unit.value("Service", key), "yes", `${unit.name}: ${key}`);
      assert.equal(unit.value("Service", "ProtectSystem"), "strict");
      assert.deepEqual(unit.values("Service", "CapabilityBoundingSet"), [""], "no capability");
      assert.notEqual(unit.value("Service", "User"), "");
    }
    assert.equal(MONGREL2.value("Service", "MemoryDenyWriteExecute"), "yes");
  });

  test("what the two share is the sockets' group, and nothing else", () => {
    const sockets = MONGREL2.value("Service", "Group");
    assert.equal(DAEMON.value("Service", "SupplementaryGroups"), sockets);
    assert.notEqual(DAEMON.value("Service", "Group"), sockets);
    assert.equal(MONGREL2.value("Service", "UMask"), "0007", "its group may connect");
    assert.equal(DAEMON.value("Service", "UMask"), "0077");
    const toml = readFileSync(join(PROJECT, "packaging/etc/m2push.toml"), "utf8");
    const conf = readFileSync(join(PROJECT, "packaging/etc/mongrel2.conf"), "utf8");
    const folder = `/run/${MONGREL2.value("Service", "RuntimeDirectory")}/`;
    for (const spec of [...toml.matchAll(/"ipc:\/\/([^"]+)"/g)].map(([, path = ""]) => path)) {
      assert.ok(spec.startsWith(folder), spec);
      assert.ok(conf.includes(`'ipc://${spec}'`), spec);
    }
    assert.ok(toml.includes(`"/var/lib/${DAEMON.value("Service", "StateDirectory")}"`));
  });

  test("the packaged mongrel2.conf has the settings of the one in config/, and its server's uuid stands in the unit", () => {
    const settings = (path: string) => {
      const table = readFileSync(join(PROJECT, path), "utf8").split(/^settings = \{/m)[1] ?? "";
      return new Map([...table.matchAll(/^ {4}'([\w.]+)': (\d+),?$/gm)].map(([, key, value]) => [key, value]));
    };
    const packaged = settings("packaging/etc/mongrel2.conf");
    assert.ok(packaged.delete("disable.access_logging"));
    assert.deepEqual(packaged, settings("config/mongrel2.conf"));
    const uuid = /uuid='([\w-]+)'/.exec(readFileSync(join(PROJECT, "packaging/etc/mongrel2.conf"), "utf8"))?.[1];
    assert.ok(uuid && MONGREL2.value("Service", "ExecStart").endsWith(` ${uuid}`));
  });

  test("the daemon does its work within its unit's rules", async (t) => {
    const sandbox = await within(sandboxOf(DAEMON));
    const { daemon, stream, publisher } = await startPair(t, { config: { admin: { listen: "127.0.0.1:0" } } });
    await daemon.stop("SIGTERM");
    const inside = startInside(t, sandbox, daemon.configFile, daemon.dir);
    await inside.live;
    const client = await stream();
    await publisher.publish("from within");
    assert.equal((await client.next()).data, "from within");
    inside.child.signal("SIGHUP");
    assert.deepEqual(await inside.child.end("SIGTERM"), { code: 0, signal: null });
    assert.match(inside.child.stdout, /configuration reloaded/);
  });

  function startInside(t: TestContext, [sandbox = "", ...rules]: readonly string[], config: string, dir: string) {
    const program = join(PROJECT, "dist/cli/main.js");
    const child = new Child(sandbox, [...rules, process.execPath, program, "serve", "-c", config], dir, environment());
    t.after(() => child.kill9());
    const live = new Promise<void>((resolve, reject) => {
      child.process.stdout?.on("data", () => child.stdout.includes('"event":"link_live"') && resolve());
      void child.closed.then(() => reject(new Error(child.stdout + child.stderr)));
    });
    return { child, live };
  }

  // Both rules were once missing, or once superfluous: a reader would be tempted to "correct" them.
  test("without netlink no interface is found by its name, and without writable code V8 ends", async () => {
    const program = join(PROJECT, "dist/cli/main.js");
    const config = join(folder, "alone.toml");
    writeFileSync(
      config,
      `[publish]\nzmq = "tcp://lo:${await freePort()}"\n[admin]\nlisten = ""\n[history]\nstore = "memory"\n`,
    );
    const start = async (sandbox: Sandbox, ...args: string[]) => {
      const [command = "", ...rules] = await within(sandbox);
      return run(command, [...rules, process.execPath, program, ...args], folder, environment());
    };
    const rules = sandboxOf(DAEMON);
    const deaf = await start(
      { ...rules, families: rules.families.filter((it) => it !== "AF_NETLINK") },
      "serve",
      "-c",
      config,
    );
    assert.equal(deaf.exit.code, 1, deaf.output);
    assert.match(deaf.output, /cannot bind tcp:\/\/lo:\d+: .*interface/);
    const rigid = await start({ ...rules, writeExecute: false }, "config", "--check");
    assert.notEqual(rigid.exit.signal, null, rigid.output);
  });

  test("Mongrel2 does its work within its unit's rules, and its sockets are its group's", async (t) => {
    const [sandbox = "", ...rules] = await within(sandboxOf(MONGREL2));
    const port = await freePort();
    const conf = readFileSync(join(PROJECT, "packaging/etc/mongrel2.conf"), "utf8")
      .replaceAll("/run/mongrel2-m2push", join(folder, "run"))
      .replaceAll("/var/log/mongrel2-m2push", join(folder, "log"))
      .replaceAll("/usr/share/m2push/html/", `${join(PROJECT, "html")}/`)
      .replace("port=6767", `port=${port}`);
    for (const name of ["run", "log"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "mongrel2.conf"), conf);
    const env = { ...environment(), LOGNAME: "m2push" };
    await must("m2sh", ["load", "-config", "mongrel2.conf", "-db", "config.sqlite"], folder, env);
    const uuid = MONGREL2.value("Service", "ExecStart").split(" ").at(-1) ?? "";
    const command = [
      ...rules,
      "sh",
      "-c",
      `umask ${MONGREL2.value("Service", "UMask")} && exec mongrel2 config.sqlite ${uuid}`,
    ];
    const mongrel2 = new Child(sandbox, command, folder, env);
    t.after(() => mongrel2.kill9());
    await listening(mongrel2, [port], () => mongrel2.stdout + mongrel2.stderr);
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
    const modes = await must("stat", ["-c", "%A", "run/requests", "run/replies", "run/control"], folder);
    assert.equal(modes, "srwxrwx---\n".repeat(3));
  });

  test("systemd itself has nothing to say against the units", async () => {
    // Where there is no systemd the tests above have read and enforced them.
    for (const { name, text } of hasSystemd ? UNITS : []) {
      const copy = join(folder, name);
      writeFileSync(copy, text.replace("/usr/bin/m2push", process.execPath));
      assert.equal(await must("systemd-analyze", ["verify", "--man=no", copy], folder), "", name);
      const { output } = await run("systemd-analyze", ["security", "--offline=true", "--no-pager", copy], folder);
      const exposure = Number(/exposure level for \S+: ([\d.]+)/.exec(output)?.[1]);
      assert.ok(exposure < 2, `${name}: ${output.slice(-200)}`);
    }
  });
});
