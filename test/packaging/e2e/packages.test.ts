/** What people install: that it holds what it must and nothing else, and that it runs from where it was put. */
import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { startDaemon } from "../../support/daemon.js";
import { listening } from "../../support/mongrel2.js";
import { serving } from "../../support/pair.js";
import { freePort } from "../../support/ports.js";
import { Child, run, temporaryDirectory } from "../../support/processes.js";
import { openStream } from "../../support/sse-client.js";
import { type Built, build, environment, must } from "../built.js";

let built: Built;

describe("Packages, end to end", () => {
  before(async () => {
    built = await build();
  });

  /** Lines of `tar -tv` and `dpkg-deb -c`: mode, owner, path. */
  const listing = (text: string): [mode: string, owner: string, path: string][] =>
    text
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((words) => words.length >= 6)
      .map(([mode = "", owner = "", , , , path = ""]) => [mode, owner, path]);

  test("the npm package holds the program, its documents and its units, and nothing of the development tools", () => {
    const { files } = built;
    for (const wanted of [
      "dist/cli/main.js",
      "dist/index.js",
      "dist/index.d.ts",
      "config/m2push.toml",
      "config/mongrel2.conf",
      "html/index.html",
      "html/client/index.js",
      "html/client/index.d.ts",
      "html/client/worker.js",
      "client/README.md",
      "docs/operating.md",
      "packaging/systemd/m2push.service",
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
    ])
      assert.ok(files.includes(wanted), `${wanted} is missing`);
    const stray = files.filter((path) =>
      /^(src|test|bench|build|data|run|logs|node_modules|packaging\/pages)\/|tsconfig|\.(map|tsbuildinfo|sqlite|key|jwt)$/.test(
        path,
      ),
    );
    assert.deepEqual(stray, []);
  });

  test("every module of the source is in the npm package, built by its own prepack", () => {
    const { files, checkout } = built;
    assert.ok(existsSync(join(checkout, "dist/cli/main.js")), "the copy had no dist before");
    const main = readFileSync(join(checkout, "dist/cli/main.js"), "utf8");
    assert.ok(main.startsWith("#!/usr/bin/env node\n"));
    const rooms = [
      "cli",
      "cluster",
      "config",
      "delivery",
      "http",
      "hub",
      "ingress",
      "matching",
      "mongrel2",
      "observability",
      "protocol",
      "storage",
      "util",
      "zmq",
    ];
    for (const room of rooms)
      assert.ok(
        files.some((path) => path.startsWith(`dist/${room}/`)),
        room,
      );
  });

  test("installed from its tarball, without a network, it runs as npx m2push and can be imported", async () => {
    const folder = temporaryDirectory();
    writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
    // What a registry would give; with --offline npm asks none. Links are enough: npm replaces files, and writes into none.
    await must("cp", ["-al", join(built.root, "usr/lib/m2push/node_modules"), folder], folder);
    await must("npm", ["install", "--offline", "--no-audit", "--no-fund", built.tarball], folder);
    const program = join(folder, "node_modules/m2push/dist/cli/main.js");
    assert.ok(statSync(program).mode & 0o100, "it can be executed");
    const config = ["config", "--check", "-c", "node_modules/m2push/config/m2push.toml"];
    const script = `Promise.all(["m2push", "m2push/client"].map((it) => import(it))).then(([daemon, client]) =>
      console.log(typeof daemon.startDaemon, typeof daemon.loadConfig, typeof client.connect))`;
    const [version, printed, checked, imported] = await Promise.all([
      must("npx", ["--no-install", "m2push", "--version"], folder),
      must(program, ["config", "--print"], folder),
      must(program, config, folder),
      must(process.execPath, ["-e", script], folder),
    ]);
    assert.match(version, new RegExp(`^${built.version}$`, "m"));
    assert.match(printed, /^\[\[mongrel2\]\]$[\s\S]*^level = "info" {2}# default$/m);
    assert.match(checked, /^ok$/m);
    assert.match(imported, /^function function function$/m);
  });

  test("the Debian package has a description and its dependencies", async () => {
    const control = await must("dpkg-deb", ["-I", built.deb], "/");
    assert.match(control, new RegExp(`^ Version: ${built.version}$`, "m"));
    assert.match(control, /^ Depends: nodejs \(>= 20.15\)/m);
    assert.match(control, /^ Recommends: mongrel2-core$/m);
    assert.match(control, /^ Maintainer: [^@<]+ <[^@\s]+@[^@\s]+\.[a-z]+>$/m);
    const architecture = (await must("dpkg", ["--print-architecture"], "/")).trim();
    assert.match(control, new RegExp(`^ Architecture: ${architecture}$`, "m"));
    assert.ok(built.deb.endsWith(`/m2push_${built.version}_${architecture}.deb`));
    const conffiles = await must("dpkg-deb", ["-f", built.deb], "/");
    assert.ok(conffiles.includes("Description: push daemon for the Mongrel2 web server"));
    assert.equal(
      await must("dpkg-deb", ["-I", built.deb, "conffiles"], "/"),
      "/etc/logrotate.d/m2push\n/etc/m2push/m2push.toml\n/etc/m2push/mongrel2.conf\n",
    );
  });

  test("the checker of Debian packages finds no error", async () => {
    // Only the tests build without compression, which is faster.
    const tags = "uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball";
    const options = ["--fail-on", "none", "--allow-root", "--suppress-tags", tags];
    const { output } = await run("lintian", [...options, built.deb], "/");
    assert.deepEqual(
      output.split("\n").filter((line) => line.startsWith("E:")),
      [],
    );
    assert.match(output, /^W: m2push:/m, "it has read the package: the scripts call systemctl, where systemd runs");
  });

  test("everything in the Debian package is root's, nothing may be written by others, and nothing is of another machine", async () => {
    const entries = listing(await must("dpkg-deb", ["-c", built.deb], "/"));
    assert.ok(entries.length > 500);
    assert.deepEqual(
      entries.filter(([, owner]) => owner !== "root/root"),
      [],
    );
    assert.deepEqual(
      entries.filter(([mode]) => !mode.startsWith("l") && /^.....w|^........w/.test(mode)),
      [],
    );
    const foreign = /\/(darwin|win32|musl)|musl|\/(typescript|playwright-core|@biomejs|fast-check)\//;
    assert.deepEqual(
      entries.filter(([, , path]) => foreign.test(path)),
      [],
    );
    const paths = new Set(entries.map(([, , path]) => path));
    for (const path of [
      "./etc/m2push/m2push.toml",
      "./etc/m2push/mongrel2.conf",
      "./lib/systemd/system/m2push.service",
      "./lib/systemd/system/mongrel2-m2push.service",
      "./usr/lib/sysusers.d/m2push.conf",
      "./usr/share/bash-completion/completions/m2push",
      "./usr/share/doc/m2push/changelog.gz",
      "./usr/share/doc/m2push/copyright",
      "./usr/share/doc/m2push/docs/operating.md",
      "./usr/share/fish/vendor_completions.d/m2push.fish",
      "./usr/share/m2push/html/index.html",
      "./usr/share/man/man1/m2push.1.gz",
      "./usr/share/zsh/vendor-completions/_m2push",
    ])
      assert.ok(paths.has(path), `${path} is missing`);
  });

  test("the Debian package runs from where it is unpacked", async () => {
    const program = join(built.root, "usr/bin/m2push");
    assert.ok(lstatSync(program).isSymbolicLink());
    assert.ok(realpathSync(program).endsWith("/usr/lib/m2push/dist/cli/main.js"));
    assert.equal(await must(program, ["--version"], "/"), `${built.version}\n`);
    const file = join(built.root, "etc/m2push/m2push.toml");
    assert.match(await must(program, ["config", "--check", "-c", file], "/"), /^ok$/m);
    assert.match(await must(program, ["config", "-c", file], "/"), /^path = "\/var\/lib\/m2push" {2}# /m);
  });

  test("the manual page has every command, and no line that roff would take for something else", async () => {
    const page = join(built.root, "usr/share/man/man1/m2push.1.gz");
    const text = await must("gzip", ["-dc", page], "/");
    for (const command of ["serve", "up", "publish", "status", "doctor", "config", "history", "completion"])
      assert.match(text, new RegExp(`^\\.SS "${command}`, "m"));
    assert.match(text, /^\.B \\-\\-history\\-store <lmdb\|memory>$/m);
    // A line that begins with a dot is a request: all of them are known ones.
    const requests = new Set(text.split("\n").flatMap((line) => /^\.(\S+)/.exec(line)?.[1] ?? []));
    assert.deepEqual([...requests].sort(), ["B", "I", "SH", "SS", "TH", "TP"]);
  });

  test("two builds of one checkout give the same bytes", async () => {
    const folder = temporaryDirectory();
    const again = { ...environment(), npm_config_ignore_scripts: "true" };
    await must("bash", ["packaging/debian/build.sh", folder], built.checkout, again);
    const name = built.deb.slice(built.deb.lastIndexOf("/"));
    assert.ok(readFileSync(join(folder, name)).equals(readFileSync(built.deb)));
  });

  /** The pair of configurations in the package, moved to a folder and to ports of its own. */
  async function relocated(folder: string) {
    const [port, publish, admin] = [await freePort(), await freePort(), await freePort()];
    const moved = (name: string) =>
      readFileSync(join(built.root, "etc/m2push", name), "utf8")
        .replaceAll("/run/mongrel2-m2push", join(folder, "run"))
        .replaceAll("/var/log/mongrel2-m2push", join(folder, "log"))
        .replaceAll("/var/lib/m2push", join(folder, "data"))
        .replaceAll("/usr/share/m2push/html/", join(built.root, "usr/share/m2push/html/"))
        .replace(/127\.0\.0\.1:9997/, `127.0.0.1:${publish}`)
        .replace(/127\.0\.0\.1:6780/, `127.0.0.1:${admin}`)
        .replace(/port=6767/, `port=${port}`)
        .replace(/localhost:6767/, `localhost:${port}`);
    for (const name of ["run", "log"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "mongrel2.conf"), moved("mongrel2.conf"));
    return { port, toml: moved("m2push.toml") };
  }

  test("the two configurations of the Debian package fit each other: page, stream, publishing, and no fault found by doctor", async (t) => {
    const folder = temporaryDirectory();
    const { port, toml } = await relocated(folder);
    const unit = readFileSync(join(built.root, "lib/systemd/system/mongrel2-m2push.service"), "utf8");
    const uuid = /^ExecStart=\S+ \S+ (\S+)$/m.exec(unit)?.[1] ?? assert.fail(unit);
    const env = { ...environment(), LOGNAME: "m2push" };
    const database = join(folder, "config.sqlite");
    const loaded = await must("m2sh", ["load", "-config", "mongrel2.conf", "-db", database], folder, env);
    assert.doesNotMatch(loaded, /ERROR/);
    const mongrel2 = new Child("mongrel2", [database, uuid], folder, env);
    t.after(() => mongrel2.end("SIGTERM"));
    await listening(mongrel2, [port], () => mongrel2.stdout + mongrel2.stderr);
    const program = join(built.root, "usr/lib/m2push/dist/cli/main.js");
    const daemon = startDaemon({ config: toml, dir: folder, program });
    t.after(() => daemon.stop());
    await serving(daemon);
    const page = await fetch(`http://127.0.0.1:${port}/`);
    assert.match(await page.text(), /<title>m2push/);
    const stream = await openStream(`http://127.0.0.1:${port}/esupdates?topic=news`);
    t.after(() => stream.close());
    await must(program, ["publish", "-c", daemon.configFile, "-t", "news", "from the package"], folder);
    assert.equal((await stream.next()).data, "from the package");
    const { output } = await run(program, ["doctor", "-c", daemon.configFile, "--mongrel2-db", database], folder, env);
    assert.match(output, /^ok {4}main: the running daemon serves it: /m);
    // How many files this machine allows is not the package's fault.
    assert.doesNotMatch(output, /^(?:warn|FAIL)(?!.* the open-file limit )/m);
  });
});
