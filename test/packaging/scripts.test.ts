/** The Debian package's scripts, run with every program that they would change the machine with replaced by one that records its call. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, beforeEach, describe, test } from "node:test";
import { PROJECT, run, temporaryDirectory } from "../support/processes.js";
import { readUnit } from "./unit.js";

const REPLACED = ["systemd-sysusers", "systemctl", "chown", "chmod", "rm", "dpkg-statoverride"];
const CONFIG = "/etc/m2push/m2push.toml";

let folder = "";
/** Stands for the machine: what is below "/" to the scripts. */
let machine = "";

describe("Scripts", () => {
  before(() => {
    folder = temporaryDirectory();
    mkdirSync(join(folder, "bin"));
    for (const name of REPLACED) {
      const override = name === "dpkg-statoverride" ? '[ -e "$M/overridden" ]' : "exit 0";
      // What it is asked, with the machine's own folder left out.
      const script = `#!/bin/sh\necho ${name} "$@" | sed "s|$M||g" >>"$M/calls"\n${override}\n`;
      writeFileSync(join(folder, "bin", name), script, { mode: 0o755 });
    }
  });

  beforeEach(() => {
    machine = join(folder, "machine");
    rmSync(machine, { recursive: true, force: true });
    for (const path of ["run/systemd/system", "etc/m2push"]) mkdirSync(join(machine, path), { recursive: true });
    writeFileSync(join(machine, CONFIG), "");
  });

  /** Runs a script on the machine; returns the calls of these programs, one a line. */
  async function asked(name: "postinst" | "prerm" | "postrm", ...args: string[]): Promise<string[]> {
    const text = readFileSync(join(PROJECT, "packaging/debian", name), "utf8").replace(
      /(?<=[ =])\/(?=etc|run|var)/g,
      `${machine}/`,
    );
    const script = join(folder, name);
    writeFileSync(script, text);
    chmodSync(script, 0o755);
    writeFileSync(join(machine, "calls"), "");
    const env = { PATH: `${join(folder, "bin")}:${process.env.PATH}`, M: machine };
    const { exit, output } = await run("sh", ["-e", script, ...args], folder, env);
    assert.deepEqual([exit.code, output], [0, ""]);
    return readFileSync(join(machine, "calls"), "utf8").trimEnd().split("\n").filter(Boolean);
  }

  const protect = [`dpkg-statoverride --list ${CONFIG}`, `chown root:m2push ${CONFIG}`, `chmod 0640 ${CONFIG}`];

  test("a first installation makes the users and closes the configuration; it starts nothing", async () => {
    const calls = await asked("postinst", "configure", "");
    assert.deepEqual(calls, ["systemd-sysusers m2push.conf", ...protect, "systemctl daemon-reload"]);
  });

  test("an upgrade restarts the daemon, which no browser notices, and never Mongrel2, which all would", async () => {
    const calls = await asked("postinst", "configure", "0.0.9");
    assert.deepEqual(calls.slice(-2), ["systemctl daemon-reload", "systemctl try-restart --no-block m2push.service"]);
    assert.equal(calls.filter((line) => line.includes("mongrel2")).length, 0);
    assert.deepEqual(await asked("prerm", "upgrade", "0.2.0"), []);
  });

  test("keeps the permissions that the administrator gave the configuration", async () => {
    writeFileSync(join(machine, "overridden"), "");
    const calls = await asked("postinst", "configure", "");
    assert.deepEqual(
      calls.filter((line) => /^ch(own|mod)/.test(line)),
      [],
    );
  });

  test("a removal ends both services and keeps what they wrote; a purge takes that too", async () => {
    assert.deepEqual(await asked("prerm", "remove"), [
      "systemctl disable --now m2push.service mongrel2-m2push.service",
    ]);
    assert.deepEqual(await asked("postrm", "remove"), ["systemctl daemon-reload"]);
    assert.deepEqual(await asked("postrm", "purge"), [
      "rm -rf /var/lib/m2push /var/lib/mongrel2-m2push /var/log/mongrel2-m2push",
      "systemctl daemon-reload",
    ]);
  });

  test("calls no systemctl where systemd does not run, as in a container's build", async () => {
    rmSync(join(machine, "run"), { recursive: true });
    assert.deepEqual(await asked("postinst", "configure", "0.0.9"), ["systemd-sysusers m2push.conf", ...protect]);
    assert.deepEqual(await asked("prerm", "remove"), []);
    assert.deepEqual(await asked("postrm", "remove"), []);
  });

  test("the users are those of the units, and what a purge removes is what the units write", () => {
    const users = readFileSync(join(PROJECT, "packaging/systemd/sysusers.conf"), "utf8");
    const purged = readFileSync(join(PROJECT, "packaging/debian/postrm"), "utf8");
    for (const unit of [readUnit("m2push.service"), readUnit("mongrel2-m2push.service")]) {
      const service = (key: string) => unit.value("Service", key);
      assert.match(users, new RegExp(`^u ${service("User")} +- "[^"]+" +/var/lib/${service("StateDirectory")}$`, "m"));
      assert.ok(purged.includes(` /var/lib/${service("StateDirectory")}`));
      if (service("LogsDirectory")) assert.ok(purged.includes(` /var/log/${service("LogsDirectory")}`));
    }
  });
});
